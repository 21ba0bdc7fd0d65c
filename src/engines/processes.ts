import { readdir, readFile } from 'node:fs/promises';
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';

import { isErrno } from '../system/files.ts';
import { kernelLink, kernelText } from '../system/kernel-text.ts';
import { isSameProcess, type ProcessIdentity } from '../system/process-identity.ts';

/** The processes of a sandbox as the host sees them: those in the process-id namespace of its first process. */

/**
 * None where that namespace is our own: whatever led to a sandbox without one, those are processes of the host, and who asks
 * for the processes of a sandbox may be about to end them. Where an ordinary user may not look at the first process of a
 * container of root's engine, the group tells them, which is the container's own and bears its id.
 */
export async function processesInside(init: ProcessIdentity): Promise<readonly number[]> {
  const [namespace, own] = [namespaceOf(String(init.pid), 'pid'), namespaceOf('self', 'pid')];
  const group = namespace === undefined ? await containerGroupOf(init.pid) : undefined;
  if ((namespace === undefined && group === undefined) || namespace === own || !(await isSameProcess(init))) {
    return [];
  }
  const inside =
    namespace === undefined
      ? await keep(await allPids(), async (pid) => (await groupsOf(pid)) === group)
      : await pidsInNamespace('pid', namespace);
  return firstOf(init, inside);
}

type NamespaceKind = 'pid' | 'user';

/** Identity of a namespace of a process, e.g. `pid:[4026531836]`; `undefined` where it may not be looked at or is gone. */
export function namespaceOf(pid: string, kind: NamespaceKind): string | undefined {
  return kernelLink(`/proc/${pid}/ns/${kind}`);
}

/** All processes of the host that are in a namespace, which is named as by `namespaceOf`. */
export async function pidsInNamespace(kind: NamespaceKind, namespace: string): Promise<readonly string[]> {
  const pids = await allPids();
  const inside: string[] = [];
  for (let from = 0; from < pids.length; from += atOnce) {
    inside.push(...pids.slice(from, from + atOnce).filter((pid) => namespaceOf(pid, kind) === namespace));
    // oxlint-disable-next-line no-await-in-loop -- whoever else waits has a turn
    await nextTurn();
  }
  return inside;
}

const atOnce = 128;

/** As numbers, the first process before the others. */
export function firstOf(init: ProcessIdentity, pids: readonly string[]): readonly number[] {
  return pids.map(Number).toSorted((a, b) => Number(b === init.pid) - Number(a === init.pid) || a - b);
}

async function allPids(): Promise<readonly string[]> {
  return (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
}

async function keep(pids: readonly string[], isInside: (pid: string) => Promise<boolean>): Promise<readonly string[]> {
  const answers = await Promise.all(pids.map(isInside));
  return pids.filter((_, index) => answers[index]);
}

/** Of its groups (cgroups(7)), which anybody may read; `undefined` where none of them bears the id of a container. */
async function containerGroupOf(pid: number): Promise<string | undefined> {
  const [groups, own] = await Promise.all([groupsOf(String(pid)), groupsOf('self')]);
  return groups !== undefined && groups !== own && /[/-][0-9a-f]{64}(?:\.scope)?$/m.test(groups) ? groups : undefined;
}

async function groupsOf(pid: string): Promise<string | undefined> {
  return readFile(`/proc/${pid}/cgroup`, 'utf8').catch(() => undefined);
}

const killRounds = 20;

/**
 * The runtime wrote the host process id of a command, which leads a session of its own; what it started is in that
 * session unless it left on purpose. Only processes inside the sandbox are looked at: no number of the host is guessed.
 * Looked at again until none is left, because one may start another between the look and the signal.
 */
export async function endSession(init: ProcessIdentity, leader: string): Promise<void> {
  await untilNoneIsLeft(async () => {
    const inside = await processesInside(init);
    const mine = inside.filter((pid) => sessionOf(pid) === leader);
    mine.forEach(killProcess);
    return mine.length > 0;
  });
}

/** `kill`: answers whether there was anything left to kill. */
export async function untilNoneIsLeft(kill: () => Promise<boolean>): Promise<void> {
  for (let round = 0; round < killRounds; round += 1) {
    // oxlint-disable-next-line no-await-in-loop -- one look after the other
    if (!(await kill())) {
      return;
    }
    // oxlint-disable-next-line no-await-in-loop -- a killed process is gone a moment later
    await sleep(20);
  }
}

/** Field 6 of `/proc/PID/stat` (proc(5)). */
function sessionOf(pid: number): string | undefined {
  const stat = kernelText(`/proc/${pid}/stat`) ?? '';
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[3];
}

/** Of a process that may have ended in the meantime. */
export function killProcess(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if (!isErrno(error, 'ESRCH')) {
      throw error;
    }
  }
}

/** `false` when the process still lives after `limitMs`. */
export async function waitUntilGone(init: ProcessIdentity, limitMs: number): Promise<boolean> {
  return waitUntil(async () => !(await isSameProcess(init)), limitMs);
}

/** Asks in growing steps, from 1 to 20 milliseconds apart: what takes long is asked seldom, and nothing waits long after its end. */
export async function waitUntil(isDone: () => Promise<boolean>, limitMs: number): Promise<boolean> {
  const end = performance.now() + limitMs;
  for (let pause = 1; ; pause = Math.min(20, pause * 1.25)) {
    // oxlint-disable-next-line no-await-in-loop -- waiting is the point
    if (await isDone()) {
      return true;
    }
    if (performance.now() >= end) {
      return false;
    }
    // oxlint-disable-next-line no-await-in-loop -- waiting is the point
    await sleep(pause);
  }
}
