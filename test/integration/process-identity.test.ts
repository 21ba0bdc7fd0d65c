import { expect, test } from 'vitest';

import {
  formatStart,
  identifyProcess,
  isSameProcess,
  parseStart,
  type ProcessIdentity,
} from '../../src/system/process-identity.ts';

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
