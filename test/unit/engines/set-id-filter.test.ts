import { describe, expect, it } from 'vitest';

import { architectures } from '../../../src/engines/oci/gvisor/filter-code.ts';
import { setIdFilter } from '../../../src/engines/oci/gvisor/set-id-filter.ts';
import type { Machine } from '../../../src/engines/kernel/seccomp.ts';
import { runFilter } from '../../helpers/run-filter.ts';

function answer(machine: Machine, number: number, args: readonly number[] = [], architecture = architectures[machine]) {
  // The upper half of a register is not the kernel's business, and a program may leave anything there.
  return runFilter(setIdFilter(machine), { number, architecture, args: args.map((value) => BigInt(value) + (7n << 32n)) });
}

const EPERM = 1;
const ENOSYS = 38;
const create = 0o100 | 1;

describe('the filter around gVisor', () => {
  it.each([
    ['chmod', 'x64', 90, [0]],
    ['fchmod', 'x64', 91, [0]],
    ['creat', 'x64', 85, [0]],
    ['mknod', 'x64', 133, [0]],
    ['mknodat', 'x64', 259, [0, 0]],
    ['fchmodat', 'x64', 268, [0, 0]],
    ['fchmodat2', 'x64', 452, [0, 0]],
    ['open', 'x64', 2, [0, create]],
    ['openat', 'x64', 257, [0, 0, create]],
    ['openat of a file without a name', 'x64', 257, [0, 0, 0o20200001]],
    ['fchmod', 'arm64', 52, [0]],
    ['mknodat', 'arm64', 33, [0, 0]],
    ['fchmodat', 'arm64', 53, [0, 0]],
    ['openat', 'arm64', 56, [0, 0, create]],
  ] as const)('lets %s on %s give no ids away, and every other mode', (_, machine, call, before) => {
    expect([0o4755, 0o2755, 0o6000].map((mode) => answer(machine, call, [...before, mode]))).toEqual(Array(3).fill(EPERM));
    expect([0o755, 0o1777, 0].map((mode) => answer(machine, call, [...before, mode]))).toEqual(Array(3).fill('allow'));
  });

  it('does not judge the mode of an open that makes nothing', () => {
    expect(answer('x64', 257, [0, 0, 0o2, 0o4755])).toBe('allow');
    expect(answer('x64', 2, [0, 0, 0o4755])).toBe('allow');
  });

  it('knows no call whose mode it could not see, and no other table of calls', () => {
    expect([437, 425].map((call) => answer('x64', call))).toEqual([ENOSYS, ENOSYS]);
    expect(answer('x64', 0x4000_0000 + 90, [0, 0o4755])).toBe(ENOSYS);
    expect(answer('x64', 15, [0, 0o4755], 0x4000_0003)).toBe(ENOSYS);
  });

  it('leaves the rest to others', () => {
    expect([0, 1, 9, 59, 165, 231].map((call) => answer('x64', call))).toEqual(Array(6).fill('allow'));
  });
});
