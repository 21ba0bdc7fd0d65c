/** The set-up as somebody who may not install packages. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { expect, test } from 'vitest';

import { installProgramsWith, program } from '../helpers/set-up-part.ts';

test('an ordinary user without sudo gets one line to run as root', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'casemate-setup-'));
  try {
    await program(folder, 'apt-get', 'exit 0');
    const { exitCode, lines } = await installProgramsWith(folder);
    expect(exitCode).toBe(125);
    expect(lines).toHaveLength(2);
    expect(lines[1]).toMatch(/^ {2}Run as root: apt-get install .*uidmap/);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
