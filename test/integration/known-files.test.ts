/** What was read of files is believed again only while the system says that nobody touched them. */
import { chmodSync, mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, expect, it } from 'vitest';

import { knownFiles } from '../../src/images/stored/known-files.ts';

let folder: string;
let path: string;
let reads: number;
const later = (): number => Date.now() + 60_000;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'known-files-'));
  path = join(folder, 'record');
  writeFileSync(path, 'one');
  reads = 0;
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

async function read(): Promise<string> {
  reads += 1;
  return readFileSync(path, 'utf8');
}

it('reads files once while nothing changes', async () => {
  const files = knownFiles<string>(later);
  expect([await files.recall('a', [path], read), await files.recall('a', [path], read)]).toEqual(['one', 'one']);
  expect(reads).toBe(1);
});

it('reads again after a change of the same length whose time was set back', async () => {
  const files = knownFiles<string>(later);
  const past = new Date(2020, 1, 1);
  utimesSync(path, past, past);
  await files.recall('a', [path], read);
  writeFileSync(path, 'two');
  utimesSync(path, past, past);
  expect(await files.recall('a', [path], read)).toBe('two');
});

it('reads again after a change of mode alone', async () => {
  const files = knownFiles<string>(later);
  await files.recall('a', [path], read);
  chmodSync(path, 0o600);
  chmodSync(path, 0o644);
  await files.recall('a', [path], read);
  expect(reads).toBe(2);
});

it('believes nothing of a file that changed a moment ago, or that is missing', async () => {
  const files = knownFiles<string>();
  await files.recall('a', [path], read);
  await files.recall('a', [path], read);
  await files.recall('b', [path, join(folder, 'absent')], read);
  await files.recall('b', [path, join(folder, 'absent')], read);
  expect(reads).toBe(4);
});
