/** Sandboxes of root that start at the same moment: each has a range of host ids of its own, or one could reach into another. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { ociLab, ociLacks, uid, type OciLab } from '../helpers/oci-lab.ts';
import { engineOrSkip } from '../helpers/require-engine.ts';

const lacks = uid === 0 ? await ociLacks() : 'an ordinary user has one range for all';

describe.skipIf(!engineOrSkip('oci', lacks))('the range of ids of a sandbox', () => {
  let lab: OciLab;

  beforeAll(async () => {
    lab = await ociLab();
  });
  afterAll(async () => {
    await lab.remove();
  });

  it('is shared with none of those that are made beside it', async () => {
    for (let round = 0; round < 3; round += 1) {
      const specs = await Promise.all(Array.from({ length: 4 }, async () => lab.spec()));
      await Promise.all(specs.map(async (spec) => await lab.engine.create(spec)));
      const ranges = await Promise.all(
        specs.map(async ({ id }) => {
          const path = join(lab.folder, 'run/sandboxes', id, 'bundle/config.json');
          return JSON.parse(await readFile(path, 'utf8')).linux.uidMappings[0].hostID;
        }),
      );
      expect(new Set(ranges).size, ranges.join()).toBe(4);
      await Promise.all(specs.map(async ({ id }) => await lab.engine.remove(id)));
    }
  });
});
