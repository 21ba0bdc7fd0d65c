import { homedir } from 'node:os';
import { join } from 'node:path';

import { readAgents } from '../agents/described/read-agents.ts';
import type { Cleanup } from '../base/cleanup.ts';
import { createLoginKeeper } from '../credentials/login/login-keeper.ts';
import { createSealedStore, sealedFileName } from '../credentials/sealed/sealed-store.ts';
import { plannedEngines } from '../engines/registry.ts';
import { createAsks } from '../gateway/asks/asks.ts';
import { createGateway } from '../gateway/create-gateway.ts';
import { createAuthorities } from '../gateway/tls/authorities.ts';
import { createKnownSecrets } from '../gateway/secrets/known-secrets.ts';
import { createHostSend, hostPost } from '../gateway/upstream/host-post.ts';
import { resolveBy } from '../gateway/upstream/dial.ts';
import { proxySettings } from '../gateway/upstream/proxy-settings.ts';
import { hostTrustStore } from '../gateway/tls/trust.ts';
import { imageStore } from '../images/stored/store.ts';
import { journalPlace } from '../journal/journal-place.ts';
import { openJournal } from '../journal/open-journal.ts';
import type { SandboxContext } from '../sandbox/context.ts';
import { currentShare } from '../sandbox/host/host-share.ts';
import { parsePlan } from '../sandbox/plan/plan.ts';
import { createSandboxes, type Sandboxes } from '../sandbox/sandboxes.ts';
import { createServerLinks } from '../sandbox/life/server-links.ts';
import { openStore } from '../sandbox/stored/store.ts';
import { openUsageLedger } from '../sandbox/stored/usage-ledger.ts';
import { serveServers } from './serve-servers.ts';
import { systemClock } from '../system/clock.ts';
import type { Environment } from '../system/environment.ts';
import type { Paths } from '../system/paths.ts';

/** Assembles the parts of the daemon, once. */
export interface AssembleOptions {
  readonly env: Environment;
  readonly paths: Paths;
  readonly uid: number;
  readonly resolver?: string | undefined;
  readonly isLab?: boolean | undefined;
  readonly log: (text: string) => void;
  /** is given what ends each part, so that a later one that fails leaves nothing open */
  readonly cleanup: Cleanup;
}

export async function assemble({
  env,
  paths,
  uid,
  resolver,
  isLab,
  log,
  cleanup,
}: AssembleOptions): Promise<{ context: SandboxContext; sandboxes: Sandboxes }> {
  const journal = await openJournal({ ...journalPlace(paths), clock: systemClock });
  cleanup.add('close the journal', () => journal.close());
  const store = openStore(join(paths.state, 'state.sqlite'));
  cleanup.add('close the state file', () => store.close());
  const ledger = openUsageLedger(join(paths.state, 'usage.sqlite'));
  cleanup.add('close the file of budgets', () => ledger.close());
  const hostTrustPem = await hostTrustStore(env);
  const asks = createAsks();
  const resolve = resolver === undefined ? undefined : resolveBy(resolver);
  const gateway = createGateway({ asks, journal, trustStorePem: hostTrustPem, upstreamProxy: proxySettings(env), resolve, log });
  cleanup.add('close the gateway', () => gateway.close());
  const sealed = createSealedStore({ path: join(paths.state, sealedFileName), config: paths.config, uid, env });
  const sendOnHost = createHostSend({ trustStorePem: hostTrustPem, upstreamProxy: proxySettings(env) });
  const loginPost = hostPost(sendOnHost);
  const logins = recordedLogins({ sealed, loginPost, journal }, log);
  const engine = plannedEngines({ paths, env, uid, prepares: true }, (id) => engineOf(store, id));
  cleanup.add('end what the engine made ready', () => engine.close?.());
  const context: SandboxContext = {
    isLab,
    engine,
    gateway,
    asks,
    journal,
    store,
    guards: { known: createKnownSecrets(), ledger },
    sealed,
    logins,
    loginPost,
    sendOnHost,
    images: imageStore({ folder: paths.images }),
    agents: async () => await readAgents(paths, uid),
    clock: systemClock,
    env,
    paths,
    userHome: env.get('HOME') ?? homedir(),
    uid,
    authorities: createAuthorities({ clock: systemClock }),
    hostTrustPem,
    share: async (read) => await currentShare(paths, read),
    servers: createServerLinks(),
    held: new Map(),
  };
  return { context, sandboxes: withServers(createSandboxes(context), context, log) };
}

type LoginParts = Pick<SandboxContext, 'sealed' | 'loginPost' | 'journal'>;

/** What becomes of each renewal is on record. */
function recordedLogins({ sealed, loginPost, journal }: LoginParts, log: (text: string) => void): SandboxContext['logins'] {
  return createLoginKeeper({
    store: sealed,
    post: loginPost,
    async onEvent({ agent, outcome, why }) {
      log(`login of ${agent}: ${outcome}${why === '' ? '' : `: ${why}`}`);
      const detail = why === '' ? undefined : { why };
      await journal.append({ actor: 'daemon', action: 'login.renew', subject: agent, decision: 'none', outcome, detail });
    },
  });
}

function withServers(sandboxes: Sandboxes, context: SandboxContext, log: (text: string) => void): Sandboxes {
  serveServers({ context, sandboxes, log });
  return sandboxes;
}

function engineOf(store: SandboxContext['store'], id: string): string | undefined {
  const row = store.find(id);
  return row === undefined ? undefined : parsePlan(row.plan).engine;
}
