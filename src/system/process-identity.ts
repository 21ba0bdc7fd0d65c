import { readFile } from 'node:fs/promises';

/** Which process a number means: a process id alone is reused, id and start time together are not. */
export interface ProcessIdentity {
  readonly pid: number;
  /** field 22 of `/proc/PID/stat`: clock ticks after boot */
  readonly startTicks: string;
}

/** `undefined` when there is no such process. */
export async function identifyProcess(pid: number): Promise<ProcessIdentity | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  // The second field is the program's name in parentheses and may hold anything; count from the last one.
  const fields = stat?.slice(stat.lastIndexOf(')') + 2).split(' ');
  const startTicks = fields?.[19];
  return startTicks === undefined || fields?.[0] === 'Z' ? undefined : { pid, startTicks };
}

export async function isSameProcess(identity: ProcessIdentity): Promise<boolean> {
  const present = await identifyProcess(identity.pid);
  return present?.startTicks === identity.startTicks;
}
