import { readdir, readFile } from 'node:fs/promises';

import { kernelText } from './kernel-text.ts';

/**
 * Says which process a number means. Process ids are reused, but an id together with its start time is unique until the machine
 * reboots. After a reboot both start over, so a stored pair may name someone else's process.
 */
export interface ProcessIdentity {
  readonly pid: number;
  /** field 22 of `/proc/PID/stat`: clock ticks after boot */
  readonly startTicks: string;
  /** `boot_id` of random(4): which run of the kernel; absent where none is told, or an earlier version wrote this down */
  readonly boot?: string | undefined;
}

let told: Promise<string | undefined> | undefined;

async function presentBoot(): Promise<string | undefined> {
  told ??= readFile('/proc/sys/kernel/random/boot_id', 'utf8').then(
    (text) => text.trim(),
    () => undefined,
  );
  return await told;
}

/** `undefined` when there is no such process. */
export async function identifyProcess(pid: number): Promise<ProcessIdentity | undefined> {
  const boot = await presentBoot();
  return identityIn(pid, kernelText(`/proc/${pid}/stat`), boot);
}

/** By the text of `/proc/PID/stat`. Pure. */
export function identityIn(pid: number, stat: string | undefined, boot: string | undefined): ProcessIdentity | undefined {
  // The second field is the program's name in parentheses and may hold anything; count from the last one.
  const fields = stat?.slice(stat.lastIndexOf(')') + 2).split(' ');
  const startTicks = fields?.[19];
  return startTicks === undefined || fields?.[0] === 'Z'
    ? undefined
    : { pid, startTicks, ...(boot === undefined ? {} : { boot }) };
}

export async function isSameProcess(identity: ProcessIdentity): Promise<boolean> {
  const present = await identifyProcess(identity.pid);
  const isOtherBoot = identity.boot !== undefined && present?.boot !== undefined && identity.boot !== present.boot;
  return present?.startTicks === identity.startTicks && !isOtherBoot;
}

/** `PF_EXITING` of the kernel's sched.h, in field 9 of `/proc/PID/stat`: it runs nothing of its program any more. */
const exiting = 0x4;

/**
 * Whether nothing of it runs any more: it is gone, or each of its threads ends or has ended. One that ends is there for a
 * moment, without its mounts and groups; one whose first thread has ended may go on in another.
 */
export async function isEnding(pid: number): Promise<boolean> {
  const threads = await readdir(`/proc/${pid}/task`).catch((): readonly string[] => []);
  const rows = await Promise.all(
    threads.map(async (thread) => readFile(`/proc/${pid}/task/${thread}/stat`, 'utf8').catch(() => undefined)),
  );
  return isEndingIn(rows);
}

/** By the texts of `/proc/PID/task/TID/stat`. Pure. */
export function isEndingIn(rows: readonly (string | undefined)[]): boolean {
  return rows.every((row) => {
    const [state = '', ...numbers] = row?.slice(row.lastIndexOf(')') + 2).split(' ') ?? [];
    return row === undefined || /^[ZX]$/.test(state) || (Number(numbers[5]) & exiting) !== 0;
  });
}

/** As one word, for a place that has room for one beside the id. */
export function formatStart({ startTicks, boot }: ProcessIdentity): string {
  return boot === undefined ? startTicks : `${startTicks}@${boot}`;
}

export function parseStart(pid: number, text: string): ProcessIdentity {
  const [startTicks = '', boot] = text.split('@');
  return boot === undefined ? { pid, startTicks } : { pid, startTicks, boot };
}
