/** What this host counts of a sandbox that has gVisor's kernel. */
import { describe, expect, test } from 'vitest';

import { endedRow, orderOf, queuesOf } from '../../../src/proof/exhaustion/own-kernel.ts';

const MiB = 1024 * 1024;

test('buffers of sockets are read from both queues', () => {
  const text = [
    '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode',
    '   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1',
    '  11: 0100007F:1F90 0100007F:9C40 01 00000010:00100000 00:00000000 00000000     0        0 2 1',
  ].join('\n');
  expect(queuesOf(text)).toEqual([0, 16 + MiB]);
  expect(queuesOf('')).toEqual([]);
});

test('order and class of a process, whatever it calls itself', () => {
  const fields = (nice: number, policy: number): string =>
    ['S', ...Array.from({ length: 15 }, () => '0'), nice, ...Array.from({ length: 21 }, () => '0'), policy, '0'].join(' ');
  expect(orderOf(`7 (a) b) ${fields(-5, 2)}`)).toEqual({ nice: -5, policy: 2 });
  expect(orderOf(`7 (exe) ${fields(0, 0)}`)).toEqual({ nice: 0, policy: 0 });
});

describe('memory that was taken', () => {
  const row = { take: 'memory', what: 'MiB of its own', tried: 1024, bound: 512 };
  const verdict = (peak: number, most: number | undefined) =>
    endedRow(row, { hold: undefined, peak: peak * MiB, most: most === undefined ? undefined : most * MiB, seen: [] }, 512 * MiB)
      .ok;

  test('is within the limit that was planned', () => {
    expect(verdict(512, 512)).toBe(true);
    expect(verdict(100, 256)).toBe(true);
  });

  test('has no limit, a greater one, or went past it', () => {
    expect(verdict(100, undefined)).toBe(false);
    expect(verdict(100, 1024)).toBe(false);
    expect(verdict(600, 512)).toBe(false);
  });
});
