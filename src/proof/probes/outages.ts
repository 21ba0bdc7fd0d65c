import { randomBytes } from 'node:crypto';
import { rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { callerIn } from '../clients/caller.ts';
import { requestText } from '../clients/request-text.ts';
import { none } from '../compare.ts';
import { eventually } from '../eventually.ts';
import { attack, control, type Row } from '../finding.ts';
import { hosts, rawPort } from '../lab/hosts.ts';
import type { Lab, LabSandbox } from '../lab/lab.ts';
import { arrivalText, seenRow, settle, unseenRow, watch } from '../oracle.ts';
import type { ProbeTable } from '../probe.ts';

/** The gateway killed, stopped, and absent at a start (G9, G16): meanwhile there is no way out, and none opens. */

const nonce = (): string => randomBytes(6).toString('hex');
const patience = { quietMs: 1500 } as const;
const belowWildcard = `outage.${hosts.wild}`;

interface Try {
  readonly what: string;
  readonly mark: string;
  /** what was heard */
  readonly run: () => Promise<string>;
}

/** Addresses of names as the sandbox knows them: who asks for them while the gateway hangs waits for long. */
async function addressesIn(sandbox: LabSandbox): Promise<(host: string) => string> {
  const names = [hosts.allowed, hosts.opened, hosts.raw, hosts.denied, belowWildcard];
  const known = new Map<string, string>();
  for (const name of names) {
    // oxlint-disable-next-line no-await-in-loop -- a handful
    const [address] = await sandbox.lookup(name);
    known.set(name, address ?? name);
  }
  return (host) => known.get(host) ?? host;
}

/** Every kind of way out that a rule opens, and those that none does. */
function waysOut(sandbox: LabSandbox, lab: Lab, addressOf: (host: string) => string): readonly Try[] {
  const caller = callerIn(sandbox);
  const row = (what: string, run: (mark: string) => Promise<{ readonly text: string }>): Try => {
    const mark = nonce();
    return { what, mark, run: async () => (await run(mark)).text };
  };
  const ask = (host: string, mark: string): string => requestText({ host, target: `/v1/echo?${mark}` });
  const at = (host: string, port: number) => ({ host: addressOf(host), port });
  const secure = (host: string) => (mark: string) =>
    caller.secure({ ...at(host, 443), serverName: host }, [ask(host, mark)], patience);
  return [
    row('a request in clear', (mark) => caller.plain(at(hosts.allowed, 80), [ask(hosts.allowed, mark)], patience)),
    row('TLS that is passed through', secure(hosts.allowed)),
    row('TLS that is opened', secure(hosts.opened)),
    row('a name below a wildcard', secure(belowWildcard)),
    row('bytes', (mark) => caller.plain(at(hosts.raw, rawPort), [mark], patience)),
    row('a host that no rule names', secure(hosts.denied)),
    row('a server of this host', (mark) =>
      caller.plain({ host: '127.0.0.1', port: lab.world.ports.plain }, [ask(hosts.allowed, mark)], patience),
    ),
    row('an address outside', (mark) => caller.plain({ host: '192.0.2.10', port: 443 }, [mark], patience)),
  ];
}

interface Attempted {
  readonly rows: readonly Row[];
  readonly longestMs: number;
}

interface Place {
  readonly sandbox: LabSandbox;
  readonly addressOf: (host: string) => string;
}

async function attempt({ sandbox, addressOf }: Place, lab: Lab, when: string): Promise<Attempted> {
  const oracle = watch(lab.world);
  const tries = waysOut(sandbox, lab, addressOf);
  const done = await Promise.all(
    tries.map(async ({ run }) => {
      const started = performance.now();
      return { text: await run(), ms: performance.now() - started };
    }),
  );
  await settle();
  const answered = tries.filter((_, index) => done[index]?.text !== '').map(({ what }) => what);
  return {
    longestMs: Math.max(...done.map(({ ms }) => ms)),
    rows: [
      none(`${when}: ways out that are answered`, answered, 'inside'),
      none(`${when}: what arrives at any server`, oracle.arrived().map(arrivalText)),
      none(`${when}: names that are asked for`, oracle.asked()),
    ],
  };
}

/** A legal request, and one that is not, as soon as the gateway is back. */
async function back(sandbox: LabSandbox, lab: Lab, what: string): Promise<readonly Row[]> {
  const oracle = watch(lab.world);
  const caller = callerIn(sandbox);
  const marks: string[] = [];
  await eventually(async () => {
    const [legal, denied] = [nonce(), nonce()];
    marks.push(denied);
    const ask = (host: string, mark: string): string => requestText({ host, target: `/v1/echo?${mark}` });
    await Promise.all([
      caller.secure({ host: hosts.opened }, [ask(hosts.opened, legal)], patience),
      caller.plain({ host: hosts.denied }, [ask(hosts.denied, denied)], patience),
    ]);
    return oracle.with(legal).length > 0 ? true : undefined;
  });
  const arrived = oracle.requests().filter(({ host }) => host === hosts.opened);
  return [
    unseenRow(
      `${what}: a request to a host that no rule names`,
      marks.flatMap((mark) => oracle.with(mark)),
    ),
    none(
      `${what}: such a name is asked for`,
      oracle.asked().filter((name) => name === hosts.denied),
    ),
    seenRow(`${what}: a request that is allowed`, arrived),
  ];
}

function speedRow(what: string, ms: number): Row {
  const seen = ms < 3000 ? 'at once' : `after ${Math.round(ms / 1000)} s`;
  return attack(`${what}: the last of them fails`, { expected: 'at once', seen, ok: ms < 3000 });
}

/** The daemon of a lab, by what the host says of its process: nothing is asked that could start another one. */
async function end(pid: number, signal: NodeJS.Signals): Promise<boolean> {
  process.kill(pid, signal);
  return (await eventually(async () => ((await isAlive(pid)) ? undefined : true))) === true;
}

async function isAlive(pid: number): Promise<boolean> {
  return (await stat(`/proc/${pid}/exe`).catch(() => undefined)) !== undefined;
}

async function killed(lab: Lab): Promise<readonly Row[]> {
  const sandbox = await lab.make('outage');
  const before = await back(sandbox, lab, 'before');
  const place = { sandbox, addressOf: await addressesIn(sandbox) };
  const isDead = await end(await lab.daemon.pid(), 'SIGKILL');
  const without = await attempt(place, lab, 'killed');
  await lab.daemon.start();
  const after = await back(sandbox, lab, 'with the next one');
  const twin = await back(lab.twin, lab, 'with the next one, another sandbox');
  await lab.casemate(['destroy', sandbox.name, '--confirm', sandbox.name]);
  return [
    ...before,
    ...without.rows,
    speedRow('killed', without.longestMs),
    ...after,
    ...twin,
    control('the gateway was dead meanwhile', { expected: 'dead', seen: isDead ? 'dead' : 'alive', ok: isDead, from: 'outside' }),
  ];
}

async function stopped(lab: Lab): Promise<readonly Row[]> {
  const sandbox = await lab.make('stopped');
  const before = await back(sandbox, lab, 'before');
  const place = { sandbox, addressOf: await addressesIn(sandbox) };
  const pid = await lab.daemon.pid();
  process.kill(pid, 'SIGSTOP');
  let during: Attempted;
  try {
    during = await attempt(place, lab, 'stopped');
  } finally {
    process.kill(pid, 'SIGCONT');
  }
  const after = await back(sandbox, lab, 'when it goes on');
  await lab.casemate(['destroy', sandbox.name, '--confirm', sandbox.name]);
  return [...before, ...during.rows, ...after];
}

/** A start on a host where no gateway can run: its journal is a file where a folder should be. */
async function absent(lab: Lab): Promise<readonly Row[]> {
  const sandbox = await lab.make('absent', { start: false });
  const journal = join(lab.places.state, 'journal');
  const isDead = await end(await lab.daemon.pid(), 'SIGKILL');
  await rename(journal, `${journal}.away`);
  await writeFile(journal, 'not a journal\n', { mode: 0o600 });
  const started = await lab.casemate(['start', sandbox.name]);
  await rm(journal, { recursive: true, force: true });
  await rename(`${journal}.away`, journal);
  await lab.daemon.start();
  const left = await sandbox.target.processes();
  const said = `${started.out.toString('utf8')}${started.err.toString('utf8')}`;
  const again = await lab.casemate(['start', sandbox.name]);
  const after = await back(sandbox, lab, 'with a gateway');
  await lab.casemate(['destroy', sandbox.name, '--confirm', sandbox.name]);
  return [
    attack('start without a gateway', {
      expected: 'refused',
      seen: started.code === 0 ? 'started' : 'refused',
      ok: started.code !== 0,
      from: 'outside',
    }),
    attack('what is said of it', {
      expected: 'the journal is named',
      seen: /journal/i.test(said) ? 'the journal is named' : `it is not: ${said.trim().slice(0, 200)}`,
      ok: /journal/i.test(said),
      from: 'outside',
    }),
    none('processes that run in it', left.map(String)),
    control('a start with one', { expected: '0', seen: String(again.code), ok: again.code === 0, from: 'outside' }),
    control('the gateway was dead meanwhile', { expected: 'dead', seen: isDead ? 'dead' : 'alive', ok: isDead, from: 'outside' }),
    ...after,
  ];
}

export const outageProbes: ProbeTable = {
  'outages.stopped': {
    where: 'lab',
    title: 'get out while the gateway hangs, and what was sent meanwhile when it goes on',
    proves: ['G9', 'G16'],
    profile: 'full',
    source: 'agent unit Requires= firewall; fail-open classes',
    run: async (lab) => ({ rows: await stopped(lab) }),
  },
  'outages.killed': {
    where: 'lab',
    title: 'get out while the gateway is dead, and while the next one starts',
    proves: ['G9', 'G16'],
    profile: 'full',
    source: 'CWE-636; clem 168',
    run: async (lab) => ({ rows: await killed(lab) }),
  },
  'outages.absent': {
    where: 'lab',
    title: 'start where no gateway can run',
    proves: ['G9', 'G16'],
    profile: 'full',
    source: 'CWE-636; SecuScan 1745, failIfUnavailable',
    run: async (lab) => ({ rows: await absent(lab) }),
  },
};
