/** What lies around a sandbox for a proof: names, addresses and limits as they are told and read. */
import { describe, expect, test } from 'vitest';

import { isLimit, levels, namespaceLimit } from '../../../src/proof/watch/own-limits.ts';
import { plantedNames, presentFiles } from '../../../src/proof/watch/planted-names.ts';
import { packedAddress, told } from '../../../src/proof/watch/start-watch.ts';
import { protectedPaths } from '../../../src/sandbox/project/protected-paths.ts';

describe('planted names', () => {
  test('there is one for each name that is protected, and none for another', () => {
    const covers = (path: string) => plantedNames.filter((name) => name === path || name.startsWith(`${path}/`));
    expect(protectedPaths.filter((path) => covers(path).length === 0)).toEqual([]);
    expect(plantedNames.filter((name) => !protectedPaths.some((path) => covers(path).includes(name)))).toEqual([]);
  });

  test('some are there before the sandbox starts and some are not', () => {
    expect(plantedNames.filter((name) => name in presentFiles)).toEqual(['.git/config', '.vscode/settings.json']);
  });
});

test('what a question is told keeps words apart, whatever they hold', () => {
  expect(told('a b', '100%', 'é=ü', '')).toBe('a%20b 100%25 %C3%A9%3D%C3%BC ');
});

test.each([
  ['192.0.2.1', 'c0000201'],
  ['127.0.0.1', '7f000001'],
  ['::1', '00000000000000000000000000000001'],
  ['2001:db8::10', '20010db8000000000000000000000010'],
  ['::ffff:192.0.2.10', '00000000000000000000ffffc000020a'],
])('the address %s is told as %s', (address, hex) => {
  expect(packedAddress(address)).toBe(hex);
});

test.each([
  ['512', true],
  ['max', false],
  ['-1', false],
  ['0', false],
  ['9223372036854771712', false],
  ['200000 100000', true],
  ['max 100000', false],
  ['', false],
])('%j in a file of a control group is a limit: %s', (text, limit) => {
  expect(isLimit(text)).toBe(limit);
});

test('a limit of processes that is counted in a namespace is less than our own', () => {
  const limits = (hard: string): string =>
    `Limit  Soft  Hard  Units\nMax processes             512                  ${hard}                 processes \n`;
  expect(namespaceLimit(limits('512'), limits('96365'))).toBe('512');
  expect(namespaceLimit(limits('512'), limits('unlimited'))).toBe('512');
  expect(namespaceLimit(limits('96365'), limits('96365'))).toBeUndefined();
  expect(namespaceLimit(limits('unlimited'), limits('96365'))).toBeUndefined();
  expect(namespaceLimit('', limits('96365'))).toBeUndefined();
});

describe('groups of its own', () => {
  const mountinfo =
    '30 29 0:26 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n31 29 0:27 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw';
  const at = (memory: string): readonly string[] => levels(mountinfo, 'memory', { memory }, { memory: '/user/1' });

  test('are those up to ours', () => {
    expect(at('/user/1/bench/x')).toEqual(['/sys/fs/cgroup/memory/user/1/bench/x', '/sys/fs/cgroup/memory/user/1/bench']);
  });

  test('are not the one of all sandboxes together, which one of them could take whole', () => {
    expect(at('/casemate/own-1/cm-1')).toEqual(['/sys/fs/cgroup/memory/casemate/own-1/cm-1']);
    expect(at('/casemate/own-1')).toEqual([]);
  });
});
