/** Asking for a grace period moves this process to where it is, and nowhere else. */
import { mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { askForGracePeriod } from '../../src/engines/oci/grace-period.ts';

describe('a grace period that is asked for early', () => {
  let folder: string;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'casemate-grace-'));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  async function host(membership: string, groups: readonly string[]): Promise<{ root: string; proc: string }> {
    const [root, proc] = [join(folder, 'cgroup'), join(folder, 'proc')];
    await mkdir(join(proc, 'self'), { recursive: true });
    await writeFile(join(proc, 'self/cgroup'), membership);
    for (const group of groups) {
      await mkdir(join(root, group), { recursive: true });
      await writeFile(join(root, group, 'cgroup.procs'), '');
    }
    return { root, proc };
  }

  const wait = async (): Promise<void> => undefined;

  it('is asked for again until a runtime has asked, each time of the group that this process is in by then', async () => {
    const { root, proc } = await host('0::/first\n', ['first', 'later']);
    const waits: number[] = [];
    await askForGracePeriod({
      root,
      proc,
      async wait(ms) {
        waits.push(ms);
        await writeFile(join(root, 'first/cgroup.procs'), '');
        await writeFile(join(proc, 'self/cgroup'), '0::/later\n');
      },
    });
    expect(waits).toEqual([12, 12, 12]);
    expect(await readFile(join(root, 'first/cgroup.procs'), 'utf8')).toBe('');
    expect(await readFile(join(root, 'later/cgroup.procs'), 'utf8')).toBe(String(process.pid));
  });

  it.each(['', 'unified'])('is asked of the own group in the unified hierarchy, below "%s"', async (hierarchy) => {
    const own = join(hierarchy, 'user.slice/me');
    const { root, proc } = await host('4:pids:/other\n0::/user.slice/me\n', [own, join(hierarchy, 'other'), 'pids/other']);
    await askForGracePeriod({ root, proc, wait });
    expect(await readFile(join(root, own, 'cgroup.procs'), 'utf8')).toBe(String(process.pid));
    expect(await readFile(join(root, hierarchy, 'other/cgroup.procs'), 'utf8')).toBe('');
    expect(await readFile(join(root, 'pids/other/cgroup.procs'), 'utf8')).toBe('');
  });

  it.each(['4:pids:/here\n', '', '0::/gone\n'])('changes nothing where there is no such group: %j', async (membership) => {
    const { root, proc } = await host(membership, ['here']);
    await askForGracePeriod({ root, proc, wait });
    expect(await readdir(root)).toEqual(['here']);
    expect(await readFile(join(root, 'here/cgroup.procs'), 'utf8')).toBe('');
  });
});
