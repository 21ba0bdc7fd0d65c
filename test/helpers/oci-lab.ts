/** Sandboxes of the `oci` engine for tests, in folders that end with the test. */
import { chmod, mkdir, mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';

import { layers, type LayerName } from '../../src/base/layers.ts';
import { newSandboxId } from '../../src/base/ids.ts';
import type { Engine, SandboxSpec } from '../../src/engines/engine.ts';
import type { OciEngineOptions } from '../../src/engines/oci/context.ts';
import { ociEngine } from '../../src/engines/oci/engine.ts';
import { imageStore } from '../../src/images/stored/store.ts';
import { processEnvironment } from '../../src/system/environment.ts';
import { pathsFrom } from '../../src/system/paths.ts';
import { engineLab, labSpec, type EngineLab } from './engine-lab.ts';

export interface OciLab extends EngineLab {
  /** a second engine on the same folders: what another process, or the same one after a kill, would see */
  readonly other: () => Engine;
  readonly options: OciEngineOptions;
  readonly runtime: SandboxSpec['runtime'];
}

export const uid = process.geteuid?.() ?? 0;
const env = { PATH: processEnvironment.get('PATH') ?? '/usr/sbin:/usr/bin:/sbin:/bin' };

/** Layers that no host of ours gives everywhere; each test of a layer says so itself. */
const softLayers: readonly LayerName[] = ['disk-limit', 'memory-limit', 'cpu-limit', 'runtime-floor'];

/** A built image's root file system; `CASEMATE_TEST_ROOTFS` names another one. */
export async function testRootfs(): Promise<string | undefined> {
  const given = processEnvironment.get('CASEMATE_TEST_ROOTFS');
  const images = imageStore({ folder: pathsFrom(processEnvironment, uid).images });
  return given ?? (await images.find('base'))?.rootfs;
}

/** What these tests lack on this machine, for `engineOrSkip`; `undefined` when nothing. */
export async function ociLacks(runtime: SandboxSpec['runtime'] = 'runc'): Promise<string | undefined> {
  if ((await testRootfs()) === undefined) {
    return 'the image "base" is not built (casemate setup)';
  }
  const lab = await ociLab();
  try {
    const reports = await lab.engine.examine(runtime);
    const missing = reports.find(({ layer, available }) => !available && !softLayers.includes(layer));
    return missing && `${missing.layer}: ${missing.detail}`;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  } finally {
    await lab.remove();
  }
}

/** `prepares`: parts for the next sandbox are made ahead, as in the daemon. */
export async function ociLab(
  runtime: SandboxSpec['runtime'] = 'runc',
  { prepares = false, times }: Pick<OciEngineOptions, 'prepares' | 'times'> = {},
): Promise<OciLab> {
  const folder = await mkdtemp(join(tmpdir(), 'casemate-oci-'));
  await chmod(folder, 0o700);
  const rootfs = await testRootfs();
  const folders = { state: join(folder, 'state'), run: join(folder, 'run') };
  const user = { uid, gid: process.getegid?.() ?? 0, name: userInfo().username };
  // As where each user has a folder for temporary files that nobody else may enter.
  const temporary = join(folder, 'tmp');
  await mkdir(temporary, { mode: 0o700 });
  const options = { folders, env: { ...env, TMPDIR: temporary }, user, prepares, times };
  const other = (): Engine => ociEngine(options);
  const engine = other();
  const owner = 'test';
  const spec = async (changes: Partial<SandboxSpec> = {}): Promise<SandboxSpec> => {
    const id = newSandboxId();
    const workspace = join(folder, `work-${id}`);
    await mkdir(workspace);
    const resolvConf = join(folder, `resolv-${id}`);
    await writeFile(resolvConf, 'nameserver 127.0.0.1\n');
    const home = join(folder, `home-${id}`);
    const parts = {
      id,
      owner,
      runtime,
      rootfs,
      workspace,
      resolvConf,
      home,
      waived: softLayers.filter((layer) => layer in layers),
    } as const;
    return { ...labSpec(parts), ...changes };
  };
  return { ...engineLab({ engine, folder, owner, spec }), other, options, runtime };
}
