/** A layer that was missing at one moment alone does not stop what comes later. */
import { mkdir, symlink } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { ociEngine } from '../../src/engines/oci/engine.ts';
import { ociLab, ociLacks, uid, type OciLab } from '../helpers/oci-lab.ts';
import { engineOrSkip } from '../helpers/require-engine.ts';

describe.skipIf(!engineOrSkip('oci', await ociLacks()))('a layer that was missing for a moment', () => {
  let lab: OciLab;

  beforeAll(async () => {
    lab = await ociLab();
  });
  afterAll(async () => {
    await lab.remove();
  });

  it.skipIf(uid !== 0)('(root has the layer) is looked for again before a start is refused', async () => {
    // All programs but the one that makes file systems.
    const bin = join(lab.folder, 'bin');
    await mkdir(bin);
    for (const path of ['/usr/bin/perl', '/usr/sbin/runc', '/usr/bin/dpkg-query']) {
      await symlink(path, join(bin, basename(path)));
    }
    const env = { PATH: bin };
    const engine = ociEngine({ ...lab.options, env });
    const lacking = (await engine.examine('runc')).filter(({ available }) => !available);
    expect(lacking.map(({ layer }) => layer)).toEqual(['disk-limit']);
    const spec = await lab.spec({ waived: [] });
    await expect(engine.create(spec)).rejects.toMatchObject({ code: 'LAYER_MISSING' });
    env.PATH = lab.options.env['PATH'] ?? '';
    await engine.create(spec);
    await engine.remove(spec.id);
  });
});
