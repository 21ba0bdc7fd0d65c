import { appendFile, mkdtemp, open, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';

import { copyBounded } from '../../src/system/copy-bounded.ts';

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'casemate-copy-'));
});
afterEach(() => rm(folder, { recursive: true }));

it('a copy ends where the file did when it was looked at, and is a new file', async () => {
  await writeFile(join(folder, 'grows'), 'seen');
  const held = await open(join(folder, 'grows'), 'r');
  try {
    const { size } = await held.stat();
    await appendFile(join(folder, 'grows'), 'not seen');
    await copyBounded(held, join(folder, 'copy'), size);
    expect(await readFile(join(folder, 'copy'), 'utf8')).toBe('seen');
    await copyBounded(held, join(folder, 'none'), 0);
    expect(await readFile(join(folder, 'none'), 'utf8')).toBe('');
    await symlink('elsewhere', join(folder, 'link'));
    for (const taken of ['link', 'copy', 'none']) {
      await expect(copyBounded(held, join(folder, taken), taken === 'none' ? 0 : size)).rejects.toMatchObject({ code: 'EEXIST' });
    }
  } finally {
    await held.close();
  }
});
