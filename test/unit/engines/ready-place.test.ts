import { describe, expect, it } from 'vitest';

import type { SandboxSpec } from '../../../src/engines/engine.ts';
import { difference, noteWish, readyPlace, takeWaiting, wantedNow, type Waiting } from '../../../src/engines/oci/ready-place.ts';

const limits = { memoryBytes: 1, cpus: 1, pids: 8, diskBytes: 1, fileBytes: 1, openFiles: 64 };

function of(image: string): SandboxSpec {
  return {
    id: 'cm-0000000000000001',
    owner: 'owner',
    hostname: 'box',
    runtime: 'runc',
    rootfs: `/images/${image}`,
    workspace: { path: '/project', mode: 'direct', protect: [] },
    home: '/home',
    files: [{ source: '/ours/resolv', target: '/etc/resolv.conf' }],
    env: { TOKEN: 'phantom' },
    limits,
    waived: [],
  };
}

function place(count: number, asked: readonly string[], waiting: readonly string[] = []) {
  const made = { ...readyPlace(), count };
  [...waiting, ...asked].forEach((image) => noteWish(made, of(image)));
  const rows = made.wanted.slice(0, waiting.length);
  made.wanted = made.wanted.slice(waiting.length);
  rows.forEach(({ likeness }) => made.waiting.add({ likeness, ready: Promise.resolve(undefined), isMade: true }));
  return made;
}

const images = (rows: readonly { readonly likeness: string }[]): readonly string[] =>
  rows.map(({ likeness }) => /images\/(\w+)/.exec(likeness)?.[1] ?? '');

describe('containers that wait', () => {
  it.each([
    [0, ['a', 'b'], []],
    [1, ['a', 'b'], ['b']],
    [2, [], []],
    [3, ['a'], ['a', 'a', 'a']],
    [3, ['a', 'b'], ['b', 'a', 'b']],
    [2, ['a', 'b', 'a', 'c'], ['a', 'c']],
  ])('are, %i of them, for what was asked for last: %j', (count, asked, wanted) => {
    expect(images(wantedNow(place(count, asked)))).toEqual(wanted);
  });

  it('are made where one is missing, and end where nobody asked of late', () => {
    const { missing, surplus } = difference(place(2, ['a', 'b'], ['c', 'a', 'a']));
    expect(images(missing)).toEqual(['b']);
    expect(images(surplus)).toEqual(['c', 'a']);
  });

  it('are given out once, those that are there first', () => {
    const two = place(2, [], ['a', 'a']);
    const [first, second] = [...two.waiting];
    (first as Waiting).isMade = false;
    expect(takeWaiting(two, of('b'))).toBeUndefined();
    expect(takeWaiting(two, of('a'))).toBe(second);
    expect(takeWaiting(two, of('a'))).toBe(first);
    expect(takeWaiting(two, of('a'))).toBeUndefined();
  });

  it('remember nothing of who asked', () => {
    const [{ like } = { like: undefined }] = place(1, ['a']).wanted;
    expect(JSON.stringify(like)).not.toMatch(/project|phantom|\/home|ours|"box"|0000000000000001/);
  });
});
