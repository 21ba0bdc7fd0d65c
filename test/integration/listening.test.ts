/** A server that listens: where it cannot, that is said; what fails later ends no process. */
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';

import { listening } from '../../src/system/listening.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'listening-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

test('a path where nothing can be bound is refused', async () => {
  await expect(listening(createServer(), { path: join(folder, 'none', 'socket') })).rejects.toThrow(/ENOENT|EACCES/);
});

test('connections that cannot be taken end nothing, however many there are', async () => {
  const server = createServer();
  await listening(server, { path: join(folder, 'socket') });
  try {
    for (let count = 0; count < 2; count += 1) {
      expect(() => server.emit('error', new Error('accept EMFILE'))).not.toThrow();
    }
  } finally {
    server.close();
  }
});
