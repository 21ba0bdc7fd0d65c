import type { AwsAccess, AwsReading } from '../aws/aws-reading.ts';
import type { Material, Secret } from '../credential.ts';
import type { SendOnHost } from '../host-request.ts';
import type { readSecretFile } from './secret-file.ts';
import type { Environment } from '../../system/environment.ts';
import type { stampOf } from '../../system/file-stamp.ts';
import type { readPrivateFile } from '../../system/private-file.ts';
import type { run } from '../../system/process.ts';

/** What a source may use to read its value. */
export interface SourceAccess {
  /** the caller's own environment */
  readonly env: Environment;
  /** owner that a credential file must have */
  readonly uid: number;
  /** real path of the folder that the sandbox reads: no value comes from a file in it */
  readonly readInside?: string | undefined;
  readonly run?: typeof run;
  readonly readFile?: typeof readPrivateFile;
  readonly readSecretFile?: typeof readSecretFile;
  readonly stampOf?: typeof stampOf;
  readonly readAws?: (choice: { readonly profile: string | undefined }, access: AwsAccess) => Promise<AwsReading | undefined>;
  /** requests of the host's own for keys */
  readonly send?: SendOnHost | undefined;
  readonly platform?: NodeJS.Platform;
  /** from the sealed store of this installation; `undefined`: nothing of this name. Throws `CREDENTIAL_UNAVAILABLE` */
  readonly stored?: ((name: string) => Promise<Secret | undefined>) | undefined;
  /** what came with the call that made the sandbox; `undefined`: nothing did */
  readonly given?: (() => Promise<Secret | undefined>) | undefined;
  /** the present value of an agent's login; `undefined`: there is none */
  readonly login?: ((agent: string) => Promise<Material | undefined>) | undefined;
  /** the upstream answered 401 to this value of it */
  readonly loginRejected?: ((agent: string, material: Material) => void) | undefined;
}
