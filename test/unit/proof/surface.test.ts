/** The reachable surface: what is published is what the filter lets through, and what was measured lies within it. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { describe, expect, test } from 'vitest';

import { seccompProfile, type Machine } from '../../../src/engines/kernel/seccomp.ts';
import { callName, callNames } from '../../../src/engines/oci/system-call-numbers.ts';
import { allowedCalls, fallbackCalls } from '../../../src/engines/kernel/system-calls.ts';
import { beyondPublished, measuredSurface } from '../../../src/proof/surface/measured.ts';
import { publishedSurface } from '../../../src/proof/surface/published.ts';
import { socketPhrases } from '../../../src/proof/surface/socket-names.ts';
import type { MeasuredReport } from '../../../scripts/surface-page.ts';

const machines = ['x64', 'arm64'] as const;
// Numbers from system call tables that are known by heart to nobody and to every kernel.
const known: Readonly<Record<Machine, readonly (readonly [number, string])[]>> = {
  x64: [
    [0, 'read'],
    [39, 'getpid'],
    [56, 'clone'],
    [272, 'unshare'],
    [334, 'rseq'],
    [424, 'pidfd_send_signal'],
    [435, 'clone3'],
    [462, 'mseal'],
  ],
  arm64: [
    [0, 'io_setup'],
    [97, 'unshare'],
    [172, 'getpid'],
    [220, 'clone'],
    [293, 'rseq'],
    [424, 'pidfd_send_signal'],
    [435, 'clone3'],
    [462, 'mseal'],
  ],
};

describe.each(machines)('system calls by number on %s', (machine) => {
  test('have the names that the kernel gives them', () => {
    expect(known[machine].map(([number]) => callName(machine, number))).toEqual(known[machine].map(([, name]) => name));
    expect(callName(machine, 400)).toBe('call 400');
  });

  test('are named once each', () => {
    const numbers = Array.from({ length: 471 }, (_, number) => callName(machine, number)).filter(
      (name) => !name.startsWith('call '),
    );
    expect(numbers.length).toBe(callNames(machine).size);
  });
});

test('every call that the filter names has a number on x64', () => {
  const unknown = [...allowedCalls, ...fallbackCalls].filter((name) => !callNames('x64').has(name));
  expect(unknown).toEqual([]);
});

describe.each(machines)('what is published for %s', (machine) => {
  const { syscalls } = seccompProfile(machine);
  const published = publishedSurface(machine);
  const actions = (name: string) => syscalls.filter(({ names }) => names.includes(name));

  test('is the profile: each call that it allows, with or without a look at the arguments, and no other', () => {
    for (const name of callNames(machine)) {
      const allowing = actions(name).filter(({ action }) => action === 'SCMP_ACT_ALLOW');
      const free = allowing.some(({ args }) => args === undefined);
      expect([name, published.calls.includes(name), published.judged.includes(name)]).toEqual([
        name,
        free,
        !free && allowing.length > 0,
      ]);
      expect([name, published.absent.includes(name)]).toEqual([name, actions(name).some(({ errnoRet }) => errnoRet === 38)]);
    }
    const all = [...published.calls, ...published.judged, ...published.absent];
    expect(all.filter((name) => !callNames(machine).has(name))).toEqual([]);
  });

  test('has the sockets of the profile', () => {
    expect(socketPhrases(published.sockets)).toEqual([
      'Unix',
      'netlink (routing)',
      'IPv4 (stream, datagram)',
      'IPv6 (stream, datagram)',
    ]);
  });
});

describe('what is measured', () => {
  const answers: Readonly<Record<string, unknown>> = {
    reachable_calls: {
      EFAULT: '0 39',
      EINVAL: '101',
      EPERM: '165',
      ENOSYS: '435',
      'killed by signal 31': '272',
      'killed by signal 11': '9',
    },
    families: { 1: 'DONE', 2: 'EPERM DONE', 38: 'EAFNOSUPPORT', 17: 'EPERM' },
    protocols: { mptcp: 'DONE', raw: 'EPERM' },
    proc_files: ['cpuinfo'],
    telltales: { '/proc/keys': 12, '/proc/kmsg': 'EPERM', '/proc/cmdline': 0 },
  };
  const measured = measuredSurface((question) => answers[question], 'x64');

  test('counts a call as reached unless it was refused for itself', () => {
    expect(measured).toEqual({
      reached: ['getpid', 'mmap', 'ptrace', 'read'],
      tried: 7,
      families: [1, 2],
      protocols: ['mptcp'],
      procFiles: ['cpuinfo'],
      telltales: ['/proc/keys'],
    });
  });

  test('and is not published is told of', () => {
    expect(beyondPublished(measured, publishedSurface('x64'))).toEqual(['ptrace', 'mptcp socket']);
    expect(beyondPublished({ ...measured, families: [1, 40], reached: [], protocols: [] }, publishedSurface('x64'))).toEqual([
      'socket family 40',
    ]);
  });
});

test('what was measured for this release lies within what is published', () => {
  const report = JSON.parse(readFileSync(join(import.meta.dirname, '../../../docs/surface.json'), 'utf8')) as MeasuredReport;
  const published = publishedSurface(report.machine === 'arm64' ? 'arm64' : 'x64');
  const measured = report.runtimes.flatMap(({ runtime, measured: one }) => (one === undefined ? [] : [{ runtime, one }]));
  expect(measured.map(({ runtime }) => runtime)).toContain('runc');
  for (const { runtime, one } of measured) {
    expect([runtime, ...beyondPublished(one, published)]).toEqual([runtime]);
    expect(one.reached.length).toBeGreaterThan(150);
  }
});
