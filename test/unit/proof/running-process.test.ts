/** What the kernel writes of a process, read as proc(5) and cgroups(7) say. */
import { describe, expect, test } from 'vitest';

import { cpusOf } from '../../../src/proof/outside/group-limits.ts';
import { groupPaths, idRanges, limitsOf, mountLines } from '../../../src/proof/outside/running-process.ts';

test('limits are told by their names', () => {
  const text =
    'Limit                     Soft Limit           Hard Limit           Units     \n' +
    'Max core file size        0                    0                    bytes     \n' +
    'Max open files            4096                 4096                 files     \n' +
    'Max cpu time              unlimited            unlimited            seconds   \n';
  expect(limitsOf(text)).toEqual({ 'Max core file size': '0', 'Max open files': '4096', 'Max cpu time': 'unlimited' });
});

test('mounts keep their order, with options of place and of file system', () => {
  const text =
    '1 2 0:1 / / ro,nosuid - overlay none ro\n3 1 0:2 / /dev/pts rw,nosuid shared:1 - devpts devpts rw,gid=5,max=64\n\n';
  expect(mountLines(text)).toEqual([
    { at: '/', options: ['ro', 'nosuid'], type: 'overlay', source: 'none', superOptions: ['ro'] },
    { at: '/dev/pts', options: ['rw', 'nosuid'], type: 'devpts', source: 'devpts', superOptions: ['rw', 'gid=5', 'max=64'] },
  ]);
});

test('ranges of ids and paths of groups are told in both layouts', () => {
  expect(idRanges('         0 1879048192      65536\n')).toEqual([{ inside: 0, outside: 1_879_048_192, size: 65_536 }]);
  expect(idRanges('')).toEqual([]);
  expect([...groupPaths('9:name=systemd:/x\n2:cpu,cpuacct:/a b\n0::/u\n')]).toEqual([
    ['name=systemd', '/x'],
    ['cpu', '/a b'],
    ['cpuacct', '/a b'],
    ['', '/u'],
  ]);
});

describe('processors', () => {
  test.each([
    ['200000', '100000', '2.00'],
    ['-1', '100000', 'max'],
    ['150000 100000', '150000 100000', '1.50'],
    ['max 100000', 'max 100000', 'max'],
    [undefined, undefined, undefined],
  ])('of %s in %s are %s', (quota, period, expected) => {
    expect(cpusOf(quota, period)).toBe(expected);
  });
});
