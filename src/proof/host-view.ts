import { readFile } from 'node:fs/promises';

import { kernelLink, kernelText } from '../system/kernel-text.ts';
import { eventually } from './eventually.ts';
import type { Target } from './target.ts';

/** What this host's kernel says of a sandbox's processes (proc(5)): the view from outside. */

export type Status = Readonly<Record<string, string>>;

/** Names that the runtime's own process has until it is the command that it was told to start (runc, crun). */
const beginning = /^(?:runc:\[|crun$)/;

/**
 * Fields of `/proc/PID/status` of every process inside; empty for a sandbox whose processes are not known here. One that the
 * runtime is just about to start has not all of its bounds yet: it is waited for, and read as it is where it goes on having such
 * a name, which any process may give itself.
 */
export async function readStatus(target: Pick<Target, 'processes'>, limitMs = 3000): Promise<readonly Status[]> {
  let statuses: readonly Status[] = [];
  await eventually(async () => {
    const pids = await target.processes();
    const texts = pids.map((pid) => kernelText(`/proc/${pid}/status`) ?? '');
    statuses = texts.filter((text) => text !== '').map(statusFields);
    return statuses.some(({ Name = '' }) => beginning.test(Name)) ? undefined : true;
  }, limitMs);
  return statuses;
}

export function statusFields(text: string): Readonly<Record<string, string>> {
  return Object.fromEntries(
    text.split('\n').flatMap((line) => {
      const [, name, value] = /^(\w+):\s*(.*)$/.exec(line) ?? [];
      return name === undefined || value === undefined ? [] : [[name, value]];
    }),
  );
}

/** `/proc/PID/NAME`; empty where it cannot be read. */
export async function readProcess(pid: number, name: string): Promise<string> {
  const path = `/proc/${pid}/${name}`;
  return ownTables.has(name) ? (kernelText(path) ?? '') : await readFile(path, 'utf8').catch(() => '');
}

/** what the kernel tells without waiting for anybody */
const ownTables: ReadonlySet<string> = new Set(['limits', 'oom_score_adj', 'stat', 'status', 'uid_map']);

/** Identity of a namespace of a process, e.g. `net:[4026531840]`; empty where it cannot be told. */
export async function namespaceOf(pid: number | 'self', kind: string): Promise<string> {
  return kernelLink(`/proc/${pid}/ns/${kind}`) ?? '';
}

/** Of processes of one sandbox, one whose namespaces may be looked at; without any the first. */
export async function visibleOf(pids: readonly number[]): Promise<number | undefined> {
  const spaces = await Promise.all(pids.map((pid) => namespaceOf(pid, 'net')));
  return pids.find((_, index) => spaces[index] !== '') ?? pids[0];
}
