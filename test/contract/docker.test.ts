/** The engines `docker` and `podman` over real ones, by whoever may use their sockets: Podman as root and as an ordinary user. */
import { describe } from 'vitest';

import { dockerLab, dockerLacks } from '../helpers/docker-lab.ts';
import { engineOrSkip } from '../helpers/require-engine.ts';
import { engineContract } from './engine.ts';

describe.skipIf(!engineOrSkip('docker', await dockerLacks()))('with a real engine', () => {
  engineContract('docker', () => dockerLab(), { runs: true });
});

describe.skipIf(!engineOrSkip('podman', await dockerLacks('podman')))('with a real Podman', () => {
  engineContract('podman', () => dockerLab('podman'), { runs: true });
});
