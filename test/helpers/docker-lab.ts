/** Sandboxes of the `docker` engine for tests, in folders that end with the test. */
import { chmod, chown, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';

import { newSandboxId } from '../../src/base/ids.ts';
import type { LayerName } from '../../src/base/layers.ts';
import type { Engine, SandboxSpec } from '../../src/engines/engine.ts';
import { dockerContext, type DockerContext, type DockerEngineOptions } from '../../src/engines/docker/context.ts';
import { imageOf } from '../../src/engines/docker/image-of.ts';
import { dockerEngine } from '../../src/engines/docker/engine.ts';
import { processEnvironment } from '../../src/system/environment.ts';
import { pathsFrom } from '../../src/system/paths.ts';
import { engineLab, labSpec, type EngineLab } from './engine-lab.ts';
import { dockerSocketPath, podmanSocketPath } from './engine-sockets.ts';
import { testRootfs, uid } from './oci-lab.ts';

export interface DockerLab extends EngineLab {
  /** a second engine on the same folders: what another process, or the same one after a kill, would see */
  readonly other: () => Engine;
  readonly context: DockerContext;
  readonly options: DockerEngineOptions;
}

const env = {
  PATH: processEnvironment.get('PATH') ?? '/usr/sbin:/usr/bin:/sbin:/bin',
};

/** Owner of the workspaces, and so the agent's id: there is no mapping of ids. */
export const workspaceOwner = uid === 0 ? 1000 : uid;

/** What this engine cannot give. */
export const dockerWaivers: readonly LayerName[] = ['user-namespace', 'disk-limit'];

export type LabEngine = 'docker' | 'podman';

/** Podman of an ordinary user has a user namespace, and no limits of groups where the host has those of version 1. */
function labWaivers(name: LabEngine): readonly LayerName[] {
  return name === 'podman' && uid !== 0 ? ['disk-limit', 'memory-limit', 'cpu-limit'] : dockerWaivers;
}

/** `npm test` starts an engine of its own and names it in `DOCKER_HOST`. */
export const dockerSocket = dockerSocketPath(processEnvironment);

export function socketOf(name: LabEngine): string {
  return name === 'docker' ? dockerSocket : podmanSocketPath(processEnvironment, uid);
}

/** What these tests lack on this machine, for `engineOrSkip`; `undefined` when nothing. */
export async function dockerLacks(name: LabEngine = 'docker'): Promise<string | undefined> {
  const rootfs = await testRootfs();
  if (rootfs === undefined || !basename(dirname(rootfs)).startsWith('sha256-')) {
    return 'the image "base" is not built (casemate setup)';
  }
  const lab = await dockerLab(name);
  try {
    const missing = (await lab.engine.examine('runc')).find(
      ({ layer, available }) => !available && !labWaivers(name).includes(layer),
    );
    return missing && `${missing.layer}: ${missing.detail}`;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  } finally {
    await rm(lab.folder, { recursive: true, force: true });
  }
}

/** `changes`: where the engine is, if it is not the one of the tests. */
export async function dockerLab(
  name: LabEngine = 'docker',
  changes: Partial<Pick<DockerEngineOptions, 'socket' | 'env' | 'uplink' | 'isElsewhere'>> = {},
): Promise<DockerLab> {
  const folder = await mkdtemp(join(tmpdir(), 'casemate-docker-'));
  await chmod(folder, 0o700);
  const rootfs = await testRootfs();
  const images = join(pathsFrom(processEnvironment, uid).images, 'engines');
  const folders = { state: join(folder, 'state'), run: join(folder, 'run'), images };
  const options = { name, folders, socket: socketOf(name), env, uid, ...changes };
  const other = (): Engine => dockerEngine(options);
  const engine = other();
  const owner = 'test';
  const context = dockerContext(options);
  // Once for this machine, and not within the time of a test. What fails here fails there again, and is told.
  await (rootfs === undefined ? undefined : imageOf(context, { rootfs }, {}).catch(() => undefined));
  const spec = async (changes: Partial<SandboxSpec> = {}): Promise<SandboxSpec> => {
    const id = newSandboxId();
    const workspace = join(folder, `work-${id}`);
    await mkdir(workspace);
    await chown(workspace, workspaceOwner, workspaceOwner);
    const resolvConf = join(folder, `resolv-${id}`);
    await writeFile(resolvConf, 'nameserver 127.0.0.1\n');
    const home = join(folder, `home-${id}`);
    const parts = { id, owner, runtime: 'runc', rootfs, workspace, resolvConf, home, waived: labWaivers(name) } as const;
    return { ...labSpec(parts), ...changes };
  };
  return { ...engineLab({ engine, folder, owner, spec }), other, context, options };
}
