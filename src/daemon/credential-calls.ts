import { plainSources } from '../policy/written/source-schema.ts';
import { variablesOf } from '../sandbox/credentials/bind-credentials.ts';
import { actorOf, type SandboxContext } from '../sandbox/context.ts';
import {
  removalList,
  removeCredential,
  rereadCredential,
  restoreCredential,
  revokeCredential,
  setCredential,
} from '../sandbox/credential-calls/credentials.ts';
import { credentialWorld, requireKnown } from '../sandbox/credentials/known-credentials.ts';
import { listCredentials } from '../sandbox/credential-calls/list-credentials.ts';
import type { MakeRequest, Prepared } from '../sandbox/making/prepare.ts';
import { testCredential } from '../sandbox/credential-calls/test-credential.ts';
import type { SandboxId } from '../base/ids.ts';
import type { Environment } from '../system/environment.ts';
import type { CallContext, Calling } from './server.ts';

/** The calls about credentials. Values come in and are sealed; none ever goes out. */
type CredentialCalls = Pick<
  Calling,
  | 'credential-list'
  | 'credential-set'
  | 'credential-reread'
  | 'credential-revoke'
  | 'credential-restore'
  | 'credential-remove-list'
  | 'credential-remove'
  | 'credential-test'
>;

export interface CredentialCallParts {
  readonly context: SandboxContext;
  readonly prepare: (request: MakeRequest) => Promise<Prepared>;
  /** id of the sandbox of this name */
  readonly find: (name: string) => SandboxId;
  readonly askVariables: (names: readonly string[], call: CallContext) => Promise<Environment>;
}

export function createCredentialCalls({ context, prepare, find, askVariables }: CredentialCallParts): CredentialCalls {
  const actor = actorOf(context.uid);
  const idOf = (sandbox: string | undefined): SandboxId | undefined => (sandbox === undefined ? undefined : find(sandbox));
  /** Throws `USAGE` for a name that nobody here knows. */
  const checked = async (name: string, cwd: string): Promise<readonly string[]> => {
    const world = await credentialWorld(context, { cwd });
    requireKnown(name, world);
    const rule = world.known.get(name)?.rule;
    const sources = rule === undefined ? [] : plainSources(rule.source);
    return sources.flatMap(variablesOf);
  };
  return {
    'credential-list': ({ cwd }) =>
      listCredentials(context, {
        cwd,
        // What is wrong with a policy is said where it is used; credentials are listed without it.
        rules: () =>
          prepare({ cwd }).then(
            ({ plan }) => plan.network.rules,
            () => [],
          ),
      }),
    'credential-set': (params) => setCredential(context, { ...params, hosts: params.hosts ?? [], actor }),
    async 'credential-reread'({ name, cwd }, call) {
      const callerEnv = await askVariables(await checked(name, cwd), call);
      return await rereadCredential(context, { name, actor, callerEnv });
    },
    async 'credential-revoke'({ name, sandbox, cwd }) {
      await checked(name, cwd);
      return await revokeCredential(context, { name, actor, sandbox: idOf(sandbox) });
    },
    async 'credential-restore'({ name, sandbox, cwd }) {
      await checked(name, cwd);
      return { name, restored: await restoreCredential(context, { name, actor, sandbox: idOf(sandbox) }) };
    },
    'credential-remove-list': ({ name }) => removalList(context, name),
    'credential-remove': ({ name }) => removeCredential(context, { name, actor }),
    async 'credential-test'({ name, cwd, path, host }, call) {
      const callerEnv = await askVariables(await checked(name, cwd), call);
      const { plan } = await prepare({ cwd });
      return await testCredential(context, { name, actor, callerEnv, cwd, path, host, rules: plan.network.rules });
    },
  };
}
