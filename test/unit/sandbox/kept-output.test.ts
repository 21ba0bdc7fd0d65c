import { mkdir, mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { trimKeptOutput } from '../../../src/sandbox/commands/kept-output.ts';

let folder = '';

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'casemate-kept-'));
  await mkdir(join(folder, 'logs'));
});

afterEach(() => rm(folder, { recursive: true, force: true }));

const idOf = (nth: number): string => `ex-${String(nth).padStart(16, '0')}`;

/** The first one is the oldest. */
async function keep(count: number, bytes: number): Promise<void> {
  for (let nth = 0; nth < count; nth += 1) {
    const path = join(folder, 'logs', `${idOf(nth)}.log`);
    await writeFile(path, Buffer.alloc(bytes, 'x'));
    await utimes(path, nth + 1, nth + 1);
  }
}

const left = async (): Promise<readonly string[]> =>
  (await readdir(join(folder, 'logs'))).map((name) => name.slice(0, -4)).toSorted();

describe('output that is kept', () => {
  it('is the newest, up to a number of files', async () => {
    await keep(5, 1);
    await trimKeptOutput(folder, new Set(), { files: 2, bytes: 1000 });
    expect(await left()).toEqual([idOf(3), idOf(4)]);
  });

  it('is the newest, up to a number of bytes', async () => {
    await keep(5, 100);
    await trimKeptOutput(folder, new Set(), { files: 100, bytes: 250 });
    expect(await left()).toEqual([idOf(3), idOf(4)]);
  });

  it('keeps what is still written, and touches nothing else', async () => {
    await keep(4, 100);
    await writeFile(join(folder, 'logs/other.log'), 'not of a command');
    await trimKeptOutput(folder, new Set([idOf(0)]), { files: 2, bytes: 1000 });
    expect(await left()).toEqual([idOf(0), idOf(3), 'other']);
  });

  it('stays within its bytes where the oldest is still written', async () => {
    await keep(4, 100);
    await trimKeptOutput(folder, new Set([idOf(0)]), { files: 100, bytes: 250 });
    expect(await left()).toEqual([idOf(0), idOf(3)]);
  });

  it('is nothing where there is no folder', async () => {
    await expect(trimKeptOutput(join(folder, 'gone'), new Set())).resolves.toBeUndefined();
  });
});
