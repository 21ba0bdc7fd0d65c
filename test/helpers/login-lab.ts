import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { expect } from 'vitest';

import { connectClient } from '../../src/daemon/client.ts';
import { socketPath } from '../../src/daemon/protocol.ts';
import { eventually } from '../../src/proof/eventually.ts';
import { emptyReport, joinReports, searchFolder, searchProcess } from '../../src/proof/outside/key-search.ts';
import { startAuthorizationServer, type AuthorizationServer, type Granted } from './authorization-server.ts';
import { startModelApi, type ModelApi } from '../../src/tour/model-api/model-api.ts';
import { makeHome, type Home, type Outcome } from './cli.ts';

/** One agent, by its real client, as this suite needs it. */
export interface LoginAgent {
  readonly name: 'claude' | 'codex';
  /** life of an access token here, seconds */
  readonly lifeS: number;
  /** what the agent's own login leaves on the host, below the home folder */
  readonly file: string;
  readonly login: (granted: Granted) => Readonly<Record<string, unknown>>;
  /** of the model */
  readonly host: string;
  /** asks the agent one thing */
  readonly command: readonly string[];
}

/** Two running sandboxes of one login, a stand-in for its authorization server and one for the model. */
export interface LoginLab {
  readonly home: Home;
  readonly server: AuthorizationServer;
  readonly api: ModelApi;
  readonly names: readonly ['first', 'second'];
  readonly logIn: () => Promise<Outcome>;
  readonly ask: (name: string) => Promise<Outcome>;
  /** Both ask at once, three times, with the life of a token in between. What they asked with is the caller's to look at. */
  readonly askPastExpiries: () => Promise<void>;
  /** most renewals that fall due of themselves since then: in the last fifth of each life, and one that was due already */
  readonly dueSince: (startedMs: number) => number;
  readonly keysInside: (name: string) => Promise<KeysInside>;
  readonly remove: () => Promise<void>;
}

export interface KeysInside {
  readonly bytes: number;
  /** places where a real token stands */
  readonly real: readonly string[];
  /** places where a stand-in does */
  readonly standIns: number;
}

/** A token may end between the gateway and the stand-in, which share two processors with both agents. */
const underWayMs = 3000;
const names = ['first', 'second'] as const;
/** in a sandbox: is there once it has been searched */
const searched = '/tmp/searched';
/** seconds, as nothing else there sleeps */
const pause = '0.45';
const waiting = `for n in $(seq 200); do [ -e ${searched} ] && break; sleep ${pause}; done`;

export async function makeLoginLab(agent: LoginAgent): Promise<LoginLab> {
  const { name: agentName, lifeS } = agent;
  const home = await makeHome();
  const server = await startAuthorizationServer({
    expiresIn: lifeS,
    leewayMs: underWayMs,
    graceMs: 30_000,
    form: agentName,
  });
  /** the model has the agent wait in a command */
  let waits = false;
  const api = await startModelApi({
    expectedKey: server.accepts,
    script: (outcomes) =>
      waits && outcomes.length === 0
        ? { say: 'I wait.', act: { kind: 'run', command: waiting, about: 'Wait' } }
        : { say: 'All is well.', act: undefined },
  });
  const logIn = async (): Promise<Outcome> => {
    const file = join(home.env['HOME'] ?? '', agent.file);
    await mkdir(join(file, '..'), { recursive: true });
    await writeFile(file, JSON.stringify(agent.login(server.grant())), { mode: 0o600 });
    return await home.casemate(['login', agentName, '--import', '--yes', '--server', server.url]);
  };
  const ask = (name: string): Promise<Outcome> =>
    home.casemate(['exec', name, '--', ...agent.command, 'hello'], { timeoutMs: 90_000 });
  await mkdir(home.paths.config, { recursive: true, mode: 0o700 });
  const rule = ['network:', `  - host: ${agent.host}`, `    upstream: ${api.url}`];
  const policy = ['version: 1', `agent: { name: ${agentName}, permissions: skip }`, ...rule, ''];
  await writeFile(join(home.paths.config, 'policy.yaml'), policy.join('\n'), { mode: 0o600 });
  expect(await logIn()).toMatchObject({ code: 0, err: expect.stringContaining('takes over') });
  for (const name of names) {
    expect(await home.casemate(['create', name])).toMatchObject({ code: 0 });
    expect(await home.casemate(['start', name])).toMatchObject({ code: 0 });
  }
  return {
    home,
    server,
    api,
    names,
    logIn,
    ask,
    async askPastExpiries() {
      const before = server.counts.granted;
      for (let round = 0; round < 3; round += 1) {
        const outcomes = await Promise.all(names.map(ask));
        expect(outcomes.map(({ code, out }) => ({ code, out }))).toEqual(names.map(() => ({ code: 0, out: 'All is well.\n' })));
        await sleep(round < 2 ? lifeS * 1000 : 0);
      }
      expect(server.counts.granted - before).toBeGreaterThanOrEqual(2);
      expect(server.counts).toMatchObject({ reused: 0, refreshes: server.counts.granted });
    },
    dueSince: (startedMs) => 1 + Math.floor((performance.now() - startedMs) / (lifeS * 1000 * 0.8)),
    async keysInside(name) {
      waits = true;
      const asking = ask(name);
      try {
        return await searchInside(home, name, server);
      } finally {
        waits = false;
        await home.casemate(['exec', name, '--', 'touch', searched]);
        await asking;
      }
    },
    async remove() {
      for (const name of names) {
        await home.casemate(['destroy', name, '--confirm', name]);
      }
      await home.remove();
      await api.close();
      await server.close();
    },
  };
}

/** While the agent waits in this command, with its login in memory. */
async function searchInside(home: Home, name: string, server: AuthorizationServer): Promise<KeysInside> {
  const { phantoms } = JSON.parse((await home.casemate(['inspect', name, '--json'])).out) as { phantoms: string[] };
  // The part that all of a server have in common is each one's own, so every one is looked for.
  const real = server.issued.map((text, index) => ({ name: `real ${index}`, text }));
  const standIns = phantoms.map((text, index) => ({ name: `stand-in ${index}`, text: text.slice(0, 60) }));
  const needles = [...real, ...standIns];
  const client = await connectClient({ socketPath: socketPath(home.paths), answer: async () => ({}) });
  const pids = await eventually(async () => {
    const now = (await client.call('processes', { name })).pids;
    const lines = await Promise.all(now.map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')));
    return lines.some((line) => line.startsWith(`sleep\0${pause}\0`)) ? now : undefined;
  }, 60_000);
  client.close();
  if (pids === undefined) {
    throw new Error('the agent does not wait in its command');
  }
  let report = emptyReport(needles);
  for (const folder of ['home/agent', 'tmp', 'run', 'etc']) {
    report = joinReports(report, await searchFolder(`/proc/${pids[0]}/root/${folder}`, needles));
  }
  for (const pid of pids) {
    report = joinReports(report, await searchProcess(pid, needles));
  }
  const placesOf = (texts: readonly { name: string }[]): readonly string[] => texts.flatMap((one) => report.seen[one.name] ?? []);
  return { bytes: report.bytes, real: placesOf(real), standIns: placesOf(standIns).length };
}
