/** How a sandbox on a kernel of its own is judged: by what this host sees, and more leniently only then. */
import { describe, expect, test } from 'vitest';

import { isGvisorAlone, roleOf } from '../../../src/proof/outside/gvisor-processes.ts';
import { gvisorRows } from '../../../src/proof/outside/privilege-rows.ts';
import { familyFacts, isRefused } from '../../../src/proof/probes/kernel.ts';

describe('what a process is', () => {
  const words = (name: string): string => `${name}\0--root=/x\0`;

  test('is told by the program it runs, not by what it calls itself', () => {
    expect(roleOf({ isFirst: false, isGvisor: true, words: words('runsc-sandbox') })).toBe('kernel');
    expect(roleOf({ isFirst: false, isGvisor: true, words: words('runsc-gofer') })).toBe('files');
    expect(roleOf({ isFirst: false, isGvisor: true, words: '' })).toBe('memory');
    expect(roleOf({ isFirst: false, isGvisor: false, words: words('runsc-sandbox') })).toBe('stranger');
    expect(roleOf({ isFirst: true, isGvisor: false, words: words('perl') })).toBe('keeper');
  });

  test.each<[string, readonly ('keeper' | 'kernel' | 'files' | 'memory' | 'stranger')[], boolean]>([
    ['all of it', ['keeper', 'kernel', 'files', 'memory'], true],
    ['no kernel', ['keeper', 'files'], false],
    ['no file server', ['keeper', 'kernel'], false],
    ['a program of the sandbox', ['keeper', 'kernel', 'files', 'stranger'], false],
    ['nothing', [], false],
  ])('%s', (_, roles, alone) => {
    expect(isGvisorAlone(roles.map((role, index) => ({ pid: index, role, program: '/p' })))).toBe(alone);
  });
});

describe('an answer that only says what the kernel lacks', () => {
  test.each(['EAFNOSUPPORT', 'EPROTONOSUPPORT', 'ENOSYS'])(
    '%s counts on a kernel of its own, and is open on that of this host',
    (seen) => {
      expect(isRefused(seen)).toBeUndefined();
      expect(isRefused(seen, true)).toBe(true);
    },
  );

  test('a socket that was made counts as made on each', () => {
    expect(familyFacts('EAFNOSUPPORT DONE', true).ok).toBe(false);
    expect(familyFacts('EAFNOSUPPORT EPERM', true).ok).toBe(true);
    expect(familyFacts('EAFNOSUPPORT EPERM').ok).toBeUndefined();
    expect(familyFacts('EAFNOSUPPORT EPERM', false).ok).toBe(false);
    expect(familyFacts('EPERM', false).ok).toBe(true);
    expect(familyFacts('EMFILE EPERM', false).ok).toBeUndefined();
    expect(isRefused('EINVAL', true)).toBe(false);
  });
});

describe("gVisor's own processes", () => {
  const zero = '0000000000000000';
  const good = {
    Pid: '7',
    Uid: '165536 165536 165536 165536',
    CapInh: zero,
    CapPrm: '0000000000080000',
    CapEff: '0000000000080000',
    CapBnd: '0000000000080000',
    CapAmb: zero,
    NoNewPrivs: '1',
    Seccomp: '2',
  };
  const spaces = { own: 'user:[1]', space: 'user:[2]' };
  const faults = (change: object, role: 'kernel' | 'files' = 'kernel', where = spaces): readonly string[] =>
    gvisorRows({ ...good, ...change }, role, where).flatMap(({ what, ok }) => (ok === true ? [] : [what]));

  test('may have the rights of their work', () => {
    expect(faults({})).toEqual([]);
    expect(faults({ CapPrm: '4001f', CapEff: '4001f', CapBnd: '4001f', CapInh: '4001f' }, 'files')).toEqual([]);
    expect(faults({ CapPrm: '81400', CapEff: '81400', CapBnd: '81400' })).toEqual([]);
    expect(faults({ CapPrm: '81400' }, 'files').join()).toMatch(/CapPrm/);
  });

  test.each<[string, object, RegExp]>([
    ['a right beyond it', { CapEff: '0000000000200000' }, /CapEff/],
    ['a bounding set that is full', { CapBnd: '000001ffffffffff' }, /CapBnd/],
    ['a right beyond it that programs inherit', { CapAmb: '0000000000200000' }, /CapAmb/],
    ['no filter', { Seccomp: '0' }, /seccomp/],
    ['new privileges', { NoNewPrivs: '0' }, /privileges/],
    ['root of the host', { Uid: '0 0 0 0' }, /user ids/],
    ['a status that says nothing', { CapPrm: undefined }, /CapPrm/],
  ])('not %s', (_, change, fault) => {
    expect(faults(change).join('; ')).toMatch(fault);
  });

  test('are in a user namespace that is not that of this host', () => {
    expect(faults({}, 'kernel', { own: 'user:[1]', space: 'user:[1]' })).toEqual([expect.stringContaining('user namespace')]);
    expect(faults({}, 'kernel', { own: 'user:[1]', space: '' })).toEqual([expect.stringContaining('user namespace')]);
  });
});
