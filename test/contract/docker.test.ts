/** The engines `docker` and `podman` over real ones, by whoever may use their sockets: as root and as an ordinary user. */
import { chmod, readdir, readFile, readlink } from 'node:fs/promises';

import { describe, expect, test } from 'vitest';

import { ownContainers } from '../../src/engines/docker/containers.ts';
import { dockerLab, dockerLacks, workspaceOwner } from '../helpers/docker-lab.ts';
import { forcedUplink } from '../../src/engines/docker/uplink/forced.ts';
import { processEnvironment } from '../../src/system/environment.ts';
import { uid } from '../helpers/oci-lab.ts';
import { engineOrSkip } from '../helpers/require-engine.ts';
import { engineContract } from './engine.ts';

describe.skipIf(!engineOrSkip('docker', await dockerLacks()))('with a real engine', () => {
  engineContract('docker', () => dockerLab(), { runs: true, agent: workspaceOwner });
  // Over an uplink, too.
  engineContract(
    'docker, as if on another kernel,',
    () => dockerLab('docker', { uplink: { network: 'host', host: '127.0.0.1' }, isElsewhere: true }),
    { runs: true, agent: workspaceOwner },
  );

  test.skipIf(uid === 0)(
    'whoever may only use the engine has the rest done by a container of ours beside the sandbox',
    { timeout: 120_000 },
    async () => {
      const lab = await dockerLab();
      try {
        // Closed to everybody else, as a home folder is.
        const { workspace } = await lab.spec();
        await chmod(workspace.path, 0o700);
        const { id } = await lab.started({ workspace: { ...workspace, protect: ['.envrc'] } });
        const { out } = await lab.inside(id, ['cat', '/proc/self/mountinfo']);
        const optionsOf = (place: string): string => out.split('\n').findLast((row) => row.split(' ')[4] === place) ?? '';
        expect(optionsOf('/')).toContain('ro,nosuid,nodev');
        expect(optionsOf('/workspace')).toContain('rw,nosuid,nodev');
        expect(optionsOf('/workspace/.envrc')).toContain('ro,nosuid,nodev');
        expect(optionsOf('/dev/pts')).toContain('max=64');
        expect((await ownContainers(lab.context, id)).map(({ part }) => part).toSorted()).toEqual(['keeper', 'sandbox']);
        // The first process is nobody's, and may not be looked at.
        const inside = await lab.engine.processes(id);
        const all = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
        expect(inside.length).toBe(1);
        expect(all).toContain(String(inside[0]));
        await expect(readlink(`/proc/${inside[0]}/ns/net`)).rejects.toMatchObject({ code: 'EACCES' });
        const spaces = (await lab.engine.namespaces?.(id)) ?? {};
        expect((await lab.inside(id, ['readlink', '/proc/self/ns/net'])).out.trim()).toBe(spaces['net']);
      } finally {
        await lab.remove();
      }
    },
  );
});

/** Socket of an engine in a virtual machine that shares the folder for temporary files with this host, e.g. `scripts/machine.sh`. */
const machine = processEnvironment.get('CASEMATE_TEST_MACHINE');
if (machine === undefined) {
  process.stderr.write('SKIP an engine in a virtual machine: CASEMATE_TEST_MACHINE names none (scripts/machine.sh starts one)\n');
}

describe.skipIf(machine === undefined)('with a real engine on a kernel of its own', { timeout: 600_000 }, () => {
  const uplink = forcedUplink(processEnvironment);
  engineContract('docker, in a virtual machine,', () => dockerLab('docker', { socket: machine ?? '', uplink }), {
    runs: true,
    agent: workspaceOwner,
    isElsewhere: true,
  });
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
