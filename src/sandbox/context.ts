import type { KnownAgents } from '../agents/described/read-agents.ts';
import type { SendOnHost } from '../credentials/host-request.ts';
import type { LoginKeeper } from '../credentials/login/login-keeper.ts';
import type { TokenPost } from '../credentials/login/token-request.ts';
import type { SealedStore } from '../credentials/sealed/sealed-store.ts';
import type { Engine } from '../engines/engine.ts';
import type { Asks } from '../gateway/asks/asks.ts';
import type { Authorities } from '../gateway/tls/authorities.ts';
import type { Gateway } from '../gateway/gateway.ts';
import type { KnownSecrets } from '../gateway/secrets/known-secrets.ts';
import type { ImageStore } from '../images/image.ts';
import type { SigningJournal } from '../journal/record.ts';
import type { Clock } from '../system/clock.ts';
import type { Environment } from '../system/environment.ts';
import type { Paths } from '../system/paths.ts';
import type { Share } from '../policy/share.ts';
import type { HostShare } from './host/share-limits.ts';
import type { PlanCredentials } from './credentials/plan-credentials.ts';
import type { ServerLinks } from './life/server-links.ts';
import type { Store } from './stored/store.ts';
import type { UsageLedger } from './stored/usage-ledger.ts';

/** Everything the use cases work with. The daemon makes it once; tests pass the memory engine and a fixed clock. */
export interface SandboxContext {
  readonly engine: Engine;
  readonly gateway: Gateway;
  /** denied requests that a person may answer */
  readonly asks: Asks;
  readonly journal: SigningJournal;
  readonly store: Store;
  /** values that must not leave, and what was used of budgets */
  readonly guards: { readonly known: KnownSecrets; readonly ledger: UsageLedger };
  /** values sealed at rest, opened by this process alone */
  readonly sealed: SealedStore;
  /** the logins of agents, renewed once for all sandboxes */
  readonly logins: LoginKeeper;
  /** asks authorization servers, on the host's own behalf */
  readonly loginPost: TokenPost;
  /** requests for keys and about accounts, on the host's own behalf */
  readonly sendOnHost: SendOnHost;
  readonly images: ImageStore;
  /** those of this program and those that files describe, as the files read now */
  readonly agents: () => Promise<KnownAgents>;
  readonly clock: Clock;
  readonly env: Environment;
  readonly paths: Paths;
  readonly userHome: string;
  readonly uid: number;
  /** of a proof: its user's policy may name hosts below a name that is reserved for tests, whatever an organisation allows */
  readonly isLab?: boolean | undefined;
  /** for sandboxes to come */
  readonly authorities: Authorities;
  /** the host's trust store, PEM: what the sandbox trusts beside its own authority */
  readonly hostTrustPem: string;
  /** what all sandboxes together may take, by the policy as it reads now */
  readonly share: (read?: Share) => Promise<HostShare>;
  /** ways to servers of an agent that run in sandboxes of their own */
  readonly servers: ServerLinks;
  /** credentials of the sandboxes that run, by sandbox id; in this process's memory and nowhere else */
  readonly held: Map<string, PlanCredentials>;
}

/** How one request names its actor in the journal. */
export function actorOf(uid: number): string {
  return `user:${uid}`;
}
