import { readdir, realpath, rename, rm, stat, statfs } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import { CasemateError } from '../../base/errors.ts';
import { visible } from '../../base/text.ts';
import { readTextIfPresent, syncFolder } from '../../system/files.ts';
import { run } from '../../system/process.ts';
import { waitUntil } from '../processes.ts';
import { noRoom } from './full-disk.ts';
import { homeImage } from './home-disk.ts';

/**
 * Copies of a home that has its own file system, as one file: saved next to it, and restored. Nothing in it is read; only the
 * kernel interprets what a sandbox wrote, when it mounts it as before. Only for a sandbox that does not run.
 */

export interface HomeCopyOptions {
  readonly env: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal | undefined;
}

const timeoutMs = 10 * 60_000;
/** room that is left for everybody else */
const spareBytes = 512 * 1024 * 1024;

/** Bytes on disk. Throws `UNSUPPORTED` where the home is no file, `SANDBOX_WRONG_STATE` where it is still mounted. */
export async function keepHome(home: string, to: string, options: HomeCopyOptions): Promise<number> {
  const image = homeImage(home);
  await requireImage(image);
  await requireUnused(image);
  return await copyWhole(image, to, options);
}

/** In the place of the home that is there, at once or not at all. */
export async function putHomeBack(home: string, from: string, options: HomeCopyOptions): Promise<void> {
  const image = homeImage(home);
  await requireImage(image);
  await requireUnused(image);
  const draft = `${image}.new`;
  await copyWhole(from, draft, options);
  await rename(draft, image);
  await syncFolder(dirname(image));
}

async function requireImage(image: string): Promise<void> {
  if ((await stat(image).catch(() => undefined))?.isFile() !== true) {
    throw new CasemateError('UNSUPPORTED', 'the home of this sandbox has no file system of its own, so it cannot be kept', {
      hint: 'That takes the engine oci, root and a sandbox that has run once; see the layer disk-limit in docs/layers.md.',
    });
  }
}

/** The last mount of a sandbox that has ended goes a moment after it, and what was written reaches the file then. */
async function requireUnused(image: string): Promise<void> {
  if (!(await waitUntil(async () => !(await isMounted(image)), 10_000))) {
    throw new CasemateError('SANDBOX_WRONG_STATE', 'the home of this sandbox is still in use');
  }
}

async function isMounted(image: string): Promise<boolean> {
  // The kernel names the file by its real path; one of ours may lead through a link.
  const real = await realpath(image);
  const devices = (await readdir('/sys/block')).filter((name) => /^loop\d+$/.test(name));
  const files = await Promise.all(devices.map((name) => readTextIfPresent(join('/sys/block', name, 'loop/backing_file'))));
  return files.some((file) => file?.trimEnd() === real);
}

/** With the holes of the file as holes: it is as large as a home may become. */
async function copyWhole(from: string, to: string, { env, signal }: HomeCopyOptions): Promise<number> {
  const { blocks } = await stat(from);
  const { bavail, bsize } = await statfs(dirname(to));
  if (bavail * bsize < blocks * 512 + spareBytes) {
    throw noRoom(dirname(to));
  }
  await rm(to, { force: true });
  try {
    const args = ['--sparse=always', '--reflink=auto', '--no-dereference', '--', from, to];
    const { exitCode, stderr } = await run('cp', args, { env, timeoutMs, signal });
    if (exitCode !== 0) {
      throw new CasemateError(
        'ENGINE_FAILED',
        `the home cannot be copied: ${visible(stderr.toString('utf8').trim()).slice(0, 300)}`,
      );
    }
    const synced = await run('sync', ['--', to], { env, timeoutMs, signal });
    if (synced.exitCode !== 0) {
      throw new CasemateError('ENGINE_FAILED', 'the copy of the home did not reach the disk');
    }
    return (await stat(to)).blocks * 512;
  } catch (error) {
    await rm(to, { force: true });
    throw error;
  }
}
