/** The program is run here as the kernel runs it (seccomp(2)), so that each answer is seen and not its instructions. */
import { describe, expect, it } from 'vitest';

import { setIdFilter } from '../../../src/engines/oci/gvisor/set-id-filter.ts';

const architectures = { x64: 0xc000_003e, arm64: 0xc000_00b7 } as const;

/** `allow`, or the number of the error. Arguments are 64-bit registers. */
function answer(machine: 'x64' | 'arm64', call: number, args: readonly number[] = [], architecture?: number): 'allow' | number {
  const code = Buffer.from(setIdFilter(machine), 'hex');
  const data = Buffer.alloc(64);
  data.writeUInt32LE(call, 0);
  data.writeUInt32LE(architecture ?? architectures[machine], 4);
  args.forEach((value, index) => data.writeBigUInt64LE(BigInt(value) + (7n << 32n), 16 + 8 * index));
  let register = 0;
  for (let at = 0; at < code.length;) {
    const [operation, yes, no, value] = [code.readUInt16LE(at), code[at + 2] ?? 0, code[at + 3] ?? 0, code.readUInt32LE(at + 4)];
    at += 8;
    if (operation === 0x20) {
      register = data.readUInt32LE(value);
    } else if (operation === 0x06) {
      return value === 0x7fff_0000 ? 'allow' : value - 0x0005_0000;
    } else {
      const holds = { 0x15: register === value, 0x35: register >= value, 0x45: (register & value) !== 0 }[operation];
      expect(holds).toBeDefined();
      at += 8 * (holds === true ? yes : no);
    }
  }
  throw new Error('the program has no end');
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
