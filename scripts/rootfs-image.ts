/** A root file system as an image of a container engine, without a registry. */
import { chmod, rm } from 'node:fs/promises';
import { join } from 'node:path';

import { run } from '../src/system/process.ts';

export interface ImageImport {
  /** program and options that stand before a subcommand, e.g. `['docker']` */
  readonly engine: readonly [string, ...string[]];
  readonly rootfs: string;
  /** with its tag */
  readonly name: string;
  /** where the archive lies meanwhile */
  readonly folder: string;
  readonly env: Readonly<Record<string, string>>;
  readonly uid?: number | undefined;
  readonly gid?: number | undefined;
}

const patienceMs = 300_000;

/** Throws where the engine does not take it; what removes the image again is handed back. */
export async function importImage({ engine, rootfs, name, folder, env, ...as }: ImageImport): Promise<() => Promise<void>> {
  const [file, ...options] = engine;
  const archive = join(folder, 'rootfs.tar');
  const call = async (program: string, args: readonly string[], user = {}): Promise<void> => {
    const { exitCode, stderr } = await run(program, args, { env, timeoutMs: patienceMs, ...user });
    if (exitCode !== 0) {
      throw new Error(`${program} ${args[0] ?? ''} ended with ${exitCode}: ${stderr.toString('utf8').trim().slice(-300)}`);
    }
  };
  try {
    await call('tar', ['-C', rootfs, '-cf', archive, '.']);
    await chmod(archive, 0o644);
    await call(file, [...options, 'import', archive, name], as);
  } finally {
    await rm(archive, { force: true });
  }
  return () => call(file, [...options, 'image', 'rm', '--force', name], as).catch(() => undefined);
}
