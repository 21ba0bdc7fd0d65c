/** The `oci` engine, by whoever runs this: root, or an ordinary user with subordinate ids. The same cases over each runtime. */
import { describe } from 'vitest';

import { ociLab, ociLacks } from '../helpers/oci-lab.ts';
import { engineOrSkip } from '../helpers/require-engine.ts';
import { engineContract } from './engine.ts';

describe.skipIf(!engineOrSkip('oci', await ociLacks()))('with a real runtime', () => {
  engineContract('oci', () => ociLab(), { runs: true });
  engineContract('oci, with parts made ahead,', () => ociLab('runc', { prepares: true }), { runs: true });
});

describe.skipIf(!engineOrSkip('runsc', await ociLacks('runsc')))('with a kernel of its own', () => {
  engineContract('oci', () => ociLab('runsc'), { runs: true });
});
