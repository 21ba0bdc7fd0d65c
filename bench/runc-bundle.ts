/** A bare bundle for `runc`: what its own default specification gives, on our root file system. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { attempt } from './measure.ts';

interface BundleOptions {
  readonly rootfs: string;
  readonly command: readonly string[];
}

/** Makes the bundle in `folder` and answers with its path. */
export async function bareBundle(folder: string, { rootfs, command }: BundleOptions): Promise<string> {
  await mkdir(folder, { recursive: true });
  await attempt('runc', ['spec', '--bundle', folder]);
  const file = join(folder, 'config.json');
  const spec = JSON.parse(await readFile(file, 'utf8')) as {
    process: { terminal: boolean; args: readonly string[] };
    root: { path: string; readonly: boolean };
  };
  const changed = {
    ...spec,
    process: { ...spec.process, terminal: false, args: command },
    root: { path: rootfs, readonly: true },
  };
  await writeFile(file, JSON.stringify(changed));
  return folder;
}

/** Runs `work` while a bare container sleeps; it is removed whatever happens. */
export async function withBareContainer<T>(folder: string, rootfs: string, work: (id: string) => Promise<T>): Promise<T> {
  const id = `casemate-bench-${process.pid}`;
  await bareBundle(folder, { rootfs, command: ['sleep', '600'] });
  // Detached, a runtime leaves its output pipes to the container; it must not hold ours open.
  await attempt('runc', ['run', '--detach', '--bundle', folder, id]);
  try {
    return await work(id);
  } finally {
    await attempt('runc', ['delete', '--force', id]);
  }
}
