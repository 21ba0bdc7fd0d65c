import { readdir } from 'node:fs/promises';
import { join } from 'node:path';

import { identifyProcess, isSameProcess, type ProcessIdentity } from './process-identity.ts';

/**
 * Puts the owning process into the names of temporary things, so that leftovers of a killed process can be told from things in
 * use. A mark is `PID-TICKS`.
 */
let self: Promise<ProcessIdentity | undefined> | undefined;

export async function ownMark(): Promise<string> {
  self ??= identifyProcess(process.pid);
  const { pid, startTicks } = (await self) ?? { pid: process.pid, startTicks: '0' };
  return `${pid}-${startTicks}`;
}

/** Paths of what dead processes left in a folder. `form` has the mark as its first group; other names are let be. */
export async function leftBehind(folder: string, form: RegExp): Promise<readonly string[]> {
  const names = await readdir(folder).catch((): string[] => []);
  const left = await Promise.all(names.map(async (name) => ((await isOfDead(form.exec(name)?.[1])) ? [join(folder, name)] : [])));
  return left.flat();
}

async function isOfDead(mark: string | undefined): Promise<boolean> {
  const [, pid, startTicks] = /^(\d+)-(\d+)$/.exec(mark ?? '') ?? [];
  return pid !== undefined && startTicks !== undefined && !(await isSameProcess({ pid: Number(pid), startTicks }));
}
