/** The oracle: what is wrong with a home, seen from outside. It knows the rules and nothing of how the product keeps them. */
import { existsSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';

import { accountFaults, readLines, type Standing } from './accounts.ts';
import { readContainers } from './containers.ts';
import { strayFiles } from './files-view.ts';
import { socketsOf, viewHost, type HostProcess } from './host-view.ts';
import { contentsOf } from './project.ts';

export interface Looked {
  readonly root: string;
  readonly project: string;
  readonly state: string;
  readonly daemon: number | undefined;
  /** of the project before anything ran in it */
  readonly contents: readonly string[];
  /** its sandboxes have groups with limits; default: yes */
  readonly hasGroups?: boolean | undefined;
  /** where groups are mounted; default: `/sys/fs/cgroup` */
  readonly groupsTop?: string | undefined;
  /** processes of the harness itself that work on the home just now */
  readonly own?: readonly number[];
}

/**
 * `killed`: right after a process died, before anything else was asked; what has a row may still be there, what has none
 * may not. `settled`: after the next command; nothing is under way, and what is there is what the state file says.
 */
export type Moment = 'killed' | 'settled';

/** Containers that wait for sandboxes to come, where nobody asked for another number. */
const mostWaiting = 2;

/** What has to end by itself gets this long. */
const patienceMs = 60_000;

/** `mayLeave`: forms of faults that are none. */
export async function look(
  looked: () => Looked,
  moment: Moment,
  mayLeave: readonly (RegExp | undefined)[] = [],
): Promise<readonly string[]> {
  const end = performance.now() + patienceMs;
  for (;;) {
    const faults = seen(looked(), moment).filter((fault) => !mayLeave.some((form) => form?.test(fault)));
    if (faults.length === 0 || performance.now() > end) {
      return faults;
    }
    await sleep(100);
  }
}

/** What goes while it is looked at is looked at again. */
function seen(looked: Looked, moment: Moment): readonly string[] {
  try {
    return lookOnce(looked, moment);
  } catch (error) {
    return [`it could not be looked at: ${error instanceof Error ? error.message : String(error)}`];
  }
}

export function lookOnce(looked: Looked, moment: Moment): readonly string[] {
  const standings = readStandings(looked.state);
  const containers = readContainers(looked.state);
  // Some wait for sandboxes to come, while there is a daemon that gives them away; what a dead one left is listed.
  const ahead = containers.filter(({ waits }) => waits);
  const [waiting, more] = [ahead.slice(0, mostWaiting), ahead.slice(mostWaiting)];
  const waits = (id: string | undefined): boolean =>
    waiting.some((one) => one.id === id) && (looked.daemon !== undefined || moment === 'killed');
  const rows = standings.filter(({ state }) => state !== 'gone');
  const isHere = (id: string | undefined): boolean => rows.some((row) => row.id === id);
  const runs = (id: string | undefined): boolean =>
    waits(id) || rows.some((row) => row.id === id && (row.state === 'running' || moment === 'killed'));
  const named = [...standings.map(({ id }) => ({ id, name: id })), ...containers.map(({ id, name }) => ({ id, name }))];
  const host = viewHost(looked.root, named, looked.groupsTop);
  const nameOf = (id: string): string => containers.find((one) => one.id === id)?.name ?? id;
  const processes = host.processes.filter(
    (one) =>
      !isOwnedProcess(one, looked) &&
      !runs(one.sandbox) &&
      !(moment === 'killed' && (isFading(one) || isBeginning(one) || (isOfCaller(one) && runs(one.worksOn)))),
  );
  const faults = [
    ...processes.map(({ pid, command }) => `process ${pid} runs and nobody owns it: ${command.slice(0, 160)}`),
    ...host.mounts.map((line) => `mount on the host: ${line}`),
    ...host.groups.filter((id) => !runs(id)).map((id) => `cgroup of ${id}, which does not run`),
    ...host.devices
      .filter((path) => ![...rows, ...waiting].some(({ id }) => runs(id) && path.includes(id)))
      .map((path) => `block device for ${path}`),
  ];
  return moment === 'killed'
    ? faults
    : [
        ...faults,
        ...more.map(({ id }) => `the container ${id} waits for a sandbox beside ${waiting.map((one) => one.id).join(' ')}`),
        ...host.probes.map((path) => `cgroup ${path} of a dead process`),
        ...rows
          .filter(({ state }) => !['created', 'running', 'stopped'].includes(state))
          .map(({ name, state }) => `"${name}" stays ${state}`),
        ...strayFiles(looked.root, [
          ...rows.map(({ id, state }) => ({ id, name: nameOf(id), runs: state === 'running' })),
          ...waiting.filter(({ id }) => waits(id)).map((one) => ({ ...one, runs: true })),
        ]).map((path) => `file ${path} has no owner`),
        ...workspaceFaults(looked, rows),
        ...accountFaults(readLines(join(looked.state, 'journal')), standings),
        ...rows
          .filter(({ id, state }) => state === 'running' && looked.hasGroups !== false && !host.groups.includes(id) && isHere(id))
          .map(({ name }) => `"${name}" is running and has no group`),
        ...(looked.daemon === undefined
          ? []
          : socketFaults(looked.daemon, rows, {
              processes: host.processes,
              waiting: host.processes.filter(({ sandbox }) => waits(sandbox)),
            })),
      ];
}

function isOwnedProcess({ pid, parent, command }: HostProcess, { daemon, own = [] }: Looked): boolean {
  const isAhead = parent === daemon && /^(?:\S*\/)?perl \S*(?:stage\.pl \w+ \d+|listen\.pl \w+ \w+)$/.test(command);
  return pid === daemon || own.includes(pid) || isAhead || command.startsWith('strace ');
}

/** What a caller started and left when it was killed: the next daemon ends the command inside, and this with it. */
function isOfCaller({ command }: HostProcess): boolean {
  return /^(?:\S*\/)?(?:runs?c .* exec |perl \S*\/enter\.pl .* exec )/.test(command);
}

/** The next daemon, which a command that lost its own has started: it is nobody's until it listens. */
function isBeginning({ command }: HostProcess): boolean {
  return command.endsWith(' daemon serve');
}

/** A process that a kill has taken its files from already. */
function isFading({ pid }: HostProcess): boolean {
  try {
    readlinkSync(`/proc/${pid}/exe`);
    return false;
  } catch {
    return true;
  }
}

function workspaceFaults({ project, contents }: Looked, rows: readonly Standing[]): readonly string[] {
  if (rows.some(({ state }) => state === 'running')) {
    return [];
  }
  const now = contentsOf(project);
  return [
    ...now.filter((line) => !contents.includes(line)).map((line) => `in the workspace and not before: ${line}`),
    ...contents.filter((line) => !now.includes(line)).map((line) => `of the workspace and gone: ${line}`),
  ];
}

/**
 * The control socket, three pipes at most to each program that waits ahead, the listeners in containers that wait, and what
 * sandboxes that run need.
 */
function socketFaults(
  daemon: number,
  rows: readonly Standing[],
  { processes, waiting }: { readonly processes: readonly HostProcess[]; readonly waiting: readonly HostProcess[] },
): readonly string[] {
  const { open, listening } = socketsOf(daemon, { inside: waiting.map(({ pid }) => pid) });
  const children = processes.filter(({ parent }) => parent === daemon).length;
  const allowed = 1 + 3 * children;
  return [
    ...listening.map((address) => `the daemon listens on the host's network at ${address}`),
    ...(rows.every(({ state }) => state !== 'running') && open > allowed
      ? [`the daemon holds ${open} sockets where ${allowed} are known`]
      : []),
  ];
}

export function readStandings(state: string): readonly Standing[] {
  const path = join(state, 'state.sqlite');
  if (!existsSync(path)) {
    return [];
  }
  const database = new DatabaseSync(path, { readOnly: true, timeout: 5000 });
  try {
    const hasTable = database.prepare("SELECT 1 FROM sqlite_master WHERE name = 'sandboxes'").get() !== undefined;
    const rows = hasTable ? database.prepare('SELECT id, name, state FROM sandboxes').all() : [];
    return rows.map(({ id, name, state: now }) => ({ id: String(id), name: String(name), state: String(now) }));
  } finally {
    database.close();
  }
}
