/** The `docker` engine over a real Docker Engine, by whoever may use its socket. */
import { describe } from 'vitest';

import { dockerLab, dockerLacks } from '../helpers/docker-lab.ts';
import { engineOrSkip } from '../helpers/require-engine.ts';
import { engineContract } from './engine.ts';

describe.skipIf(!engineOrSkip('docker', await dockerLacks()))('with a real engine', () => {
  engineContract('docker', dockerLab, { runs: true });
});
