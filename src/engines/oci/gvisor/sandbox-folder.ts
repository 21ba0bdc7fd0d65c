import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import type { EngineLayout } from '../folders.ts';

/**
 * The sandbox's folder as gVisor's processes may use it, which are nobody on this host: they are handed the folder itself.
 * The folders above it stay closed, so that nobody else comes here.
 */
export async function openFolder(layout: EngineLayout, id: string, memoryBytes: number): Promise<void> {
  const { folder, bundle, config, executions } = layout.sandbox(id);
  const state = join(folder, 'runsc');
  await mkdir(state);
  await writeFile(join(folder, 'meminfo'), `MemTotal: ${Math.floor(memoryBytes / 1024)} kB\n`);
  await Promise.all([
    chmod(folder, 0o711),
    chmod(bundle, 0o755),
    chmod(config, 0o644),
    ...[join(folder, 'meminfo')].map((path) => chmod(path, 0o644)),
    ...[state, executions].map((path) => chmod(path, 0o777)),
    ...['log', 'call.log', 'kernel.pid'].map((name) => emptyFile(join(folder, name))),
  ]);
}

async function emptyFile(path: string): Promise<void> {
  await writeFile(path, '', { flag: 'wx' });
  await chmod(path, 0o666);
}

/** A file that a call of gVisor reads or writes; `dirname` is open to it already. */
export async function sharedFile(path: string, text: string): Promise<void> {
  await writeFile(path, text);
  await chmod(path, 0o644);
}
