import { existsSync, readFileSync } from 'node:fs';

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { callNumber } from '../../../src/engines/oci/gvisor/call-numbers.ts';
import { architectures } from '../../../src/engines/oci/gvisor/filter-code.ts';
import { listFilter } from '../../../src/engines/oci/gvisor/list-filter.ts';
import { seccompProfile, type Machine, type SeccompArgument } from '../../../src/engines/kernel/seccomp.ts';
import { runFilter } from '../../helpers/run-filter.ts';

const machines = ['x64', 'arm64'] as const;
const filters = { x64: listFilter('x64'), arm64: listFilter('arm64') };

function answer(machine: Machine, number: number, args: readonly bigint[] = []) {
  return runFilter(filters[machine], { number, architecture: architectures[machine], args });
}

/** What the list itself says. */
function listed(machine: Machine, name: string, args: readonly bigint[]): 'allow' | number {
  const { syscalls, defaultErrnoRet } = seccompProfile(machine);
  const matches = ({ index, op, value, valueTwo = 0 }: SeccompArgument): boolean =>
    op === 'SCMP_CMP_EQ' ? (args[index] ?? 0n) === BigInt(value) : ((args[index] ?? 0n) & BigInt(value)) === BigInt(valueTwo);
  const rule = syscalls.find((row) => row.names.includes(name) && (row.args ?? []).every(matches));
  return rule === undefined ? defaultErrnoRet : rule.action === 'SCMP_ACT_ALLOW' ? 'allow' : (rule.errnoRet ?? defaultErrnoRet);
}

const names = [...new Set(machines.flatMap((machine) => seccompProfile(machine).syscalls.flatMap((rule) => rule.names)))];

describe('the list as a program', () => {
  it.each(machines)('answers as the list does, whatever the arguments, on %s', (machine) => {
    const known = names.filter((name) => callNumber(name, machine) !== undefined);
    // numbers that the rules speak of, near them, and any
    const interesting = fc.constantFrom(
      0,
      1,
      2,
      3,
      4,
      6,
      10,
      16,
      17,
      0o755,
      0o4755,
      0o100,
      0o20100000,
      0x5412,
      0x5413,
      0x541c,
      1024,
      1025,
      0x1000_0000,
    );
    const argument = fc.oneof(interesting.map(BigInt), fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }));
    fc.assert(
      fc.property(fc.constantFrom(...known), fc.array(argument, { minLength: 4, maxLength: 4 }), (name, args) => {
        expect([name, args, answer(machine, callNumber(name, machine) ?? -1, args)]).toEqual([
          name,
          args,
          listed(machine, name, args),
        ]);
      }),
      { numRuns: 4000 },
    );
  });

  it.each(machines)('refuses every call that the list does not name, on %s', (machine) => {
    const known = new Set(names.map((name) => callNumber(name, machine)));
    const others = Array.from({ length: 600 }, (_, number) => number).filter((number) => !known.has(number));
    expect(new Set(others.map((number) => answer(machine, number)))).toEqual(new Set([1]));
    expect(others.length).toBeGreaterThan(100);
  });

  it.each(machines)('is small enough to load, and asks little of each call, on %s', (machine) => {
    expect(filters[machine].length / 16).toBeLessThan(1500);
  });

  it('knows the number of every name, as the headers of this machine have it', () => {
    expect(names.filter((name) => machines.every((machine) => callNumber(name, machine) === undefined))).toEqual([]);
    const header = '/usr/include/x86_64-linux-gnu/asm/unistd_64.h';
    const text = existsSync(header) ? readFileSync(header, 'utf8') : '#define __NR_read 0\n#define __NR_openat 257\n';
    const numbers = new Map([...text.matchAll(/__NR_(\w+) (\d+)/g)].map(([, name = '', number]) => [name, Number(number)]));
    const wrong = names.filter((name) => numbers.has(name) && numbers.get(name) !== callNumber(name, 'x64'));
    expect(wrong).toEqual([]);
  });
});
