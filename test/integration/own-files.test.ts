import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { mayBeThere, ownNames, ownStats, ownText } from '../../src/system/own-files.ts';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'casemate-own-'));
  await writeFile(join(folder, 'file'), 'text');
  await symlink('/nowhere/at/all', join(folder, 'dangling'));
  await symlink('loop', join(folder, 'loop'));
});

afterEach(async () => {
  await rm(folder, { recursive: true });
});

const at = (...parts: string[]): string => join(folder, ...parts);

describe('small files of our own', () => {
  it('that are not there have no text, no names and no stats', () => {
    for (const path of [at('missing'), at('missing', 'below'), at('file', 'below')]) {
      expect([ownText(path), ownNames(path), ownStats(path), mayBeThere(path)]).toEqual([undefined, undefined, undefined, false]);
    }
  });

  it('that are there are read as they are', () => {
    expect(ownText(at('file'))).toBe('text');
    expect(ownNames(folder)?.toSorted()).toEqual(['dangling', 'file', 'loop']);
    expect(ownStats(at('file'))?.size).toBe(4n);
    expect(mayBeThere(at('file'))).toBe(true);
  });

  it('that cannot be told of do not count as absent: whoever asks meets the fault', () => {
    expect(() => ownText(at('loop'))).toThrow('ELOOP');
    expect(() => ownText(folder)).toThrow('EISDIR');
    expect(() => ownNames(at('loop'))).toThrow('ELOOP');
    expect([mayBeThere(at('dangling')), mayBeThere(at('loop')), mayBeThere(at('loop', 'below'))]).toEqual([true, true, true]);
  });
});
