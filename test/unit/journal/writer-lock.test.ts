import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';

import { lockWriter } from '../../../src/journal/writer-lock.ts';

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'casemate-writer-'));
});

afterAll(async () => {
  await rm(folder, { recursive: true });
});

test('one that is held says that another process writes', async () => {
  const lock = await lockWriter(folder);
  await expect(lockWriter(folder)).rejects.toMatchObject({
    code: 'JOURNAL_UNWRITABLE',
    message: expect.stringContaining('another process writes the journal'),
  });
  lock.release();
  (await lockWriter(folder)).release();
});

test('one that cannot be taken for another reason says that reason, and not that somebody writes', async () => {
  await writeFile(join(folder, 'writer.lock'), 'no data base\n'.repeat(100));
  await expect(lockWriter(folder)).rejects.toMatchObject({
    code: 'JOURNAL_UNWRITABLE',
    message: expect.stringMatching(/cannot lock .*writer\.lock: file is not a database/),
  });
});
