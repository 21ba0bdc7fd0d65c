import { spawn, type ChildProcess } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';

import { expect, test } from 'vitest';

import {
  formatStart,
  identifyProcess,
  isEnding,
  isSameProcess,
  parseStart,
  type ProcessIdentity,
} from '../../src/system/process-identity.ts';
import { eventually } from '../../src/proof/eventually.ts';

/** Which process a number means, within one run of the machine and after another. */

const own = await identifyProcess(process.pid);
const otherBoot = '00000000-0000-4000-8000-000000000000';

test('a process is known again, and not by its number alone', async () => {
  expect(own?.boot).toMatch(/^[0-9a-f-]{36}$/);
  const { pid, startTicks } = own as ProcessIdentity;
  expect(await isSameProcess({ ...own, pid, startTicks })).toBe(true);
  expect(await isSameProcess({ ...own, pid, startTicks: `${startTicks}0` })).toBe(false);
  expect(await isSameProcess({ pid, startTicks, boot: otherBoot })).toBe(false);
  // As earlier versions wrote it down.
  expect(await isSameProcess({ pid, startTicks })).toBe(true);
});

test('what is written down as one word is the same when it is read', () => {
  for (const identity of [
    { pid: 7, startTicks: '12' },
    { pid: 7, startTicks: '12', boot: otherBoot },
  ]) {
    expect(parseStart(identity.pid, formatStart(identity))).toEqual(identity);
  }
});

test('a process whose first thread has ended goes on, and one that is gone does not', async () => {
  const program =
    'import ctypes, threading, time; threading.Thread(target=time.sleep, args=(60,)).start(); ctypes.CDLL(None).pthread_exit(None)';
  const child = spawn('python3', ['-c', program], { stdio: 'ignore' });
  const pid = child.pid ?? 0;
  expect(await isEnding(pid)).toBe(false);
  await expect.poll(() => stateOf(pid)).toBe('Z');
  expect(await isEnding(pid)).toBe(false);
  await killed(child);
  expect(await isEnding(pid)).toBe(true);
});

/** The first one of a process-id namespace ends when whoever is in there has been taken note of: by a parent that sleeps. */
test.skipIf(process.getuid?.() !== 0)('a process that the kernel is ending has ended', async () => {
  const outer = spawn('unshare', ['--pid', '--fork', 'sleep', '600'], { stdio: 'ignore' });
  const init = await childOf(outer);
  const parent = spawn('nsenter', ['--target', String(init), '--pid', 'sleep', '600'], { stdio: 'ignore' });
  await childOf(parent);
  parent.kill('SIGSTOP');
  expect(await isEnding(init)).toBe(false);
  process.kill(init, 'SIGKILL');
  try {
    await expect.poll(() => isEnding(init)).toBe(true);
    expect(await stateOf(init)).not.toBe('Z');
    await expect(readFile(`/proc/${init}/mountinfo`)).rejects.toThrow('EINVAL');
  } finally {
    parent.kill('SIGCONT');
    await Promise.all([killed(parent), killed(outer)]);
  }
});

async function stateOf(pid: number): Promise<string | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[0];
}

/** The one that runs the program it was started for. */
async function childOf({ pid = 0 }: ChildProcess): Promise<number> {
  const found = await eventually(async () => {
    for (const name of (await readdir('/proc')).filter((one) => /^\d+$/.test(one))) {
      const stat = await readFile(`/proc/${name}/stat`, 'utf8').catch(() => '');
      if (stat.includes('(sleep) ') && stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1] === String(pid)) {
        return Number(name);
      }
    }
    return undefined;
  }, 30_000);
  return found ?? expect.fail('it started no program');
}

async function killed(child: ChildProcess): Promise<void> {
  const end = Promise.withResolvers<void>();
  child.once('exit', () => end.resolve());
  child.kill('SIGKILL');
  await (child.exitCode === null && child.signalCode === null ? end.promise : undefined);
}
