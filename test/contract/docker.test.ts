/** The engines `docker` and `podman` over real ones, by whoever may use their sockets: Podman as root and as an ordinary user. */
import { readFile } from 'node:fs/promises';

import { describe, expect, test } from 'vitest';

import { dockerLab, dockerLacks } from '../helpers/docker-lab.ts';
import { uid } from '../helpers/oci-lab.ts';
import { engineOrSkip } from '../helpers/require-engine.ts';
import { engineContract } from './engine.ts';

describe.skipIf(!engineOrSkip('docker', await dockerLacks()))('with a real engine', () => {
  engineContract('docker', () => dockerLab(), { runs: true });
});

describe.skipIf(!engineOrSkip('podman', await dockerLacks('podman')))('with a real Podman', () => {
  engineContract('podman', () => dockerLab('podman'), { runs: true });

  test.skipIf(uid === 0)(
    'a sandbox of an ordinary user watches a quarter of what that user may',
    { timeout: 120_000 },
    async () => {
      const lab = await dockerLab('podman');
      try {
        const { id } = await lab.started();
        const pools = ['max_inotify_instances', 'max_inotify_watches'].map((name) => `/proc/sys/user/${name}`);
        const outside = await Promise.all(pools.map(async (pool) => Number(await readFile(pool, 'utf8'))));
        const { out } = await lab.inside(id, ['cat', ...pools]);
        expect(out.trim().split('\n').map(Number)).toEqual(outside.map((number) => Math.floor(number / 4)));
      } finally {
        await lab.remove();
      }
    },
  );
});
