/** What the engine keeps for a state folder is made when the disk takes it, also where it did not at first. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';

import { dockerContext } from '../../src/engines/docker/context.ts';

it('marks its state folder once, as soon as it can', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'casemate-mark-'));
  try {
    const inWay = join(folder, 'state');
    await writeFile(inWay, '');
    const folders = { state: join(inWay, 'docker'), run: join(folder, 'run'), images: join(folder, 'images') };
    const { mark } = dockerContext({ name: 'docker', folders, socket: join(folder, 'socket'), env: {}, uid: 0 });
    await expect(mark()).rejects.toMatchObject({ code: 'ENOTDIR' });
    await rm(inWay);
    const [first, second] = await Promise.all([mark(), mark()]);
    expect(first).toMatch(/^[0-9a-f]{32}$/);
    expect(second).toBe(first);
  } finally {
    await rm(folder, { recursive: true });
  }
});
