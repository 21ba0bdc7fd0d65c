/** Several sandboxes, each within its own limits, and all of them within those for all. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { ociLab, ociLacks, uid, type OciLab } from '../helpers/oci-lab.ts';
import { engineOrSkip } from '../helpers/require-engine.ts';

const MiB = 1024 * 1024;
const limits = { memoryBytes: 200 * MiB, cpus: 1.5, pids: 64 };

describe.skipIf(!engineOrSkip('oci', uid === 0 ? await ociLacks() : 'only root makes a group of all'))(
  'all sandboxes of an installation',
  () => {
    let lab: OciLab;
    let owner: string;

    beforeEach(async () => {
      lab = await ociLab();
      owner = `test-${process.pid}`;
    });
    afterEach(async () => {
      for (const { id } of await lab.engine.list(owner)) {
        await lab.engine.remove(id);
      }
      await lab.remove();
      const tops = ['.', ...(await readdir('/sys/fs/cgroup'))].map((name) => join('/sys/fs/cgroup', name, 'casemate'));
      const left = await Promise.all(tops.map(async (top) => await readdir(top).catch((): string[] => [])));
      expect(left.flat().filter((name) => name === owner)).toEqual([]);
    });

    const forks = `for (1 .. 200) { defined(my $p = fork) or last; $p or do { close STDOUT; close STDERR; sleep 60; exit }; $n++ } print $n`;

    it('have as many processes as all may, however many each might have', async () => {
      expect(await lab.engine.limitTogether?.(owner, limits)).toMatchObject({ pidsLimit: 64, memoryLimitBytes: 200 * MiB });
      const [one, two] = [await lab.started({ owner }), await lab.started({ owner })];
      const made = Number((await lab.inside(one.id, ['perl', '-e', forks])).out);
      expect(made).toBeGreaterThan(10);
      expect(made).toBeLessThan(64);
      const more = Number((await lab.inside(two.id, ['perl', '-e', forks])).out || '0');
      expect(made + more).toBeLessThan(64);
      expect(await lab.engine.limitTogether?.(owner, limits)).toMatchObject({ pids: expect.any(Number) });
      expect(await lab.engine.stats(two.id)).toMatchObject({ pids: expect.any(Number), memoryBytes: expect.any(Number) });
    });

    it('have as much memory as all may: what is too much ends, and the others go on', async () => {
      await lab.engine.limitTogether?.(owner, limits);
      const [one, two] = [await lab.started({ owner }), await lab.started({ owner })];
      const { code } = await lab.inside(one.id, ['perl', '-e', '$x = "x" x (300 * 1048576); print length $x']);
      expect(code).toBe(137);
      expect((await lab.inside(two.id, ['echo', 'on'])).out).toBe('on\n');
    });

    it('are not limited before anybody says so', async () => {
      const spec = await lab.started({ owner });
      const made = Number((await lab.inside(spec.id, ['perl', '-e', forks])).out);
      expect(made).toBeGreaterThan(64);
    });
  },
);
