/** What can be limited on a host is read from the files of its cgroup layout. */
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, rmdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { examineDelegation } from '../../src/engines/oci/delegation.ts';
import { cgroupHost } from '../../src/engines/oci/host.ts';
import { sandboxStats } from '../../src/engines/oci/stats.ts';
import { readTextIfPresent } from '../../src/system/files.ts';

const slice = '/user.slice/casemate.slice';
/** Where root may make a group of its own. */
const groupsRoot =
  process.geteuid?.() === 0
    ? ['/sys/fs/cgroup/pids', '/sys/fs/cgroup'].find((top) => existsSync(join(top, 'cgroup.procs')))
    : undefined;
if (groupsRoot === undefined) {
  process.stderr.write('SKIP a group that goes while it is read: only root may make one here\n');
}
const never = (): Promise<string> => Promise.reject(new Error('nobody asks systemd here'));

describe('the cgroups of a host', () => {
  let root: string;

  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'casemate-cgroups-'));
  });

  afterEach(() => rm(root, { recursive: true, force: true }));

  async function files(content: Readonly<Record<string, string>>): Promise<void> {
    for (const [name, text] of Object.entries(content)) {
      await mkdir(join(root, name, '..'), { recursive: true });
      await writeFile(join(root, name), text);
    }
  }

  it('gives root the controllers of the unified layout, and a limit on swap where swap is counted', async () => {
    await files({ 'cgroup.controllers': 'cpuset cpu io memory pids\n' });
    expect(await cgroupHost({ uid: 0, delegate: never }, root)).toEqual({
      layout: 'unified',
      controllers: ['memory', 'cpu', 'pids'],
      swap: false,
    });
    await files({ 'init.scope/memory.swap.max': 'max\n' });
    expect(await cgroupHost({ uid: 0, delegate: never }, root)).toMatchObject({ swap: true });
  });

  it('gives an ordinary user what systemd delegates, and says what is missing', async () => {
    await files({ 'cgroup.controllers': 'cpu memory pids\n' });
    const delegation = { slice, controllers: ['memory', 'pids'], swap: true };
    expect(await cgroupHost({ uid: 1000, delegate: () => Promise.resolve(delegation) }, root)).toEqual({
      layout: 'unified',
      controllers: ['memory', 'pids'],
      swap: true,
      delegation,
    });
    expect(await cgroupHost({ uid: 1000, delegate: () => Promise.resolve('no bus') }, root)).toEqual({
      layout: 'unified',
      controllers: [],
      swap: false,
      lacks: 'no bus',
    });
  });

  it('asks no systemd on a host with a hierarchy for each controller', async () => {
    await files({ 'memory/cgroup.procs': '', 'pids/cgroup.procs': '' });
    const { layout, controllers } = await cgroupHost({ uid: 1000, delegate: never }, root);
    expect({ layout, controllers }).toEqual({ layout: 'separate', controllers: ['memory', 'pids'] });
  });

  it('says why systemd could not be asked', async () => {
    expect(await examineDelegation({ env: { PATH: join(root, 'nothing') } })).toMatch(/cannot start systemd-run/);
  });

  it('counts what a sandbox uses in the unified layout, in its scope’s inner group', async () => {
    const group = `${slice}/casemate-cm-1-00112233.scope/box`;
    await files({
      'cgroup.controllers': 'cpu memory pids\n',
      [`.${group}/memory.current`]: '4096\n',
      [`.${group}/cpu.stat`]: 'usage_usec 2500\nuser_usec 1\n',
      [`.${group}/pids.current`]: '3\n',
      'proc/7/cgroup': `0::${group}\n`,
      'proc/8/cgroup': '0::/user.slice\n',
    });
    const options = { root, proc: join(root, 'proc') };
    expect(await sandboxStats('cm-1', 7, options)).toEqual({
      memoryBytes: 4096,
      memoryPeakBytes: undefined,
      cpuMs: 2.5,
      pids: 3,
    });
    expect(await sandboxStats('cm-1', 8, options)).toEqual({
      memoryBytes: undefined,
      memoryPeakBytes: undefined,
      cpuMs: undefined,
      pids: undefined,
    });
  });

  it.skipIf(groupsRoot === undefined)(
    'has nothing to read in a group that went between the opening and the reading',
    async () => {
      const group = join(groupsRoot ?? root, `casemate-test-${process.pid}`);
      for (let round = 0; round < 300; round += 1) {
        await mkdir(group);
        // As many as there are threads that read: some have opened their file when the group goes, and some have not.
        const readings = ['cgroup.procs', 'cgroup.procs', 'notify_on_release', 'cgroup.procs'].map((name) =>
          readTextIfPresent(join(group, name)),
        );
        await rmdir(group);
        const texts = await Promise.all(readings);
        expect(texts.every((text) => text === undefined || /^[0-9\n]*$/.test(text))).toBe(true);
      }
    },
  );
});
