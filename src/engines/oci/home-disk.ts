import { constants } from 'node:fs';
import { mkdir, open, rename, rm, stat } from 'node:fs/promises';

import { CasemateError } from '../../base/errors.ts';
import { visible } from '../../base/text.ts';
import { run } from '../../system/process.ts';

/**
 * A home of limited size: an ext4 file system in a sparse file beside the home folder, mounted by `stage.pl` in the
 * sandbox's mount namespace only. Past its size a write fails inside with ENOSPC; inodes are limited with it.
 */
export interface HomeDisk {
  readonly image: string;
  /** where the private mount namespace has it */
  readonly mountPoint: string;
  /** made just now: what mke2fs puts in beside the files of the home is taken out again */
  readonly isFresh: boolean;
}

export interface HomeDiskOptions {
  readonly env: Readonly<Record<string, string>>;
  readonly sizeBytes: number;
  readonly mountPoint: string;
}

const smallestBytes = 32 * 1024 * 1024;

export function homeImage(home: string): string {
  return `${home}.ext4`;
}

/**
 * Made once, from the files of `home` as we wrote them; from then on the image is the home and the folder is not looked
 * at. Blocks are reserved for nobody, tables are written on first use, so that making it does not depend on its size.
 */
export async function ensureHomeDisk(home: string, { env, sizeBytes, mountPoint }: HomeDiskOptions): Promise<HomeDisk> {
  const image = homeImage(home);
  await mkdir(mountPoint, { recursive: true, mode: 0o700 });
  if ((await stat(image).catch(() => undefined)) !== undefined) {
    return { image, mountPoint, isFresh: false };
  }
  const partial = `${image}.new`;
  await rm(partial, { force: true });
  await makeImage(partial, ['-d', home], { env, sizeBytes });
  await rename(partial, image);
  return { image, mountPoint, isFresh: true };
}

/** Throws `ENGINE_FAILED` with what mke2fs said, `TOOL_MISSING` when there is none. */
export async function makeImage(
  path: string,
  source: readonly string[],
  { env, sizeBytes }: Omit<HomeDiskOptions, 'mountPoint'>,
): Promise<void> {
  const file = await open(path, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW, 0o600);
  try {
    await file.truncate(Math.max(sizeBytes, smallestBytes));
  } finally {
    await file.close();
  }
  const features = ['-m', '0', '-O', '^resize_inode', '-J', 'size=4', '-E', 'lazy_itable_init=1,lazy_journal_init=1,nodiscard'];
  const result = await run('mke2fs', ['-q', '-F', '-t', 'ext4', ...features, ...source, path], { env, timeoutMs: 60_000 });
  if (result.exitCode !== 0) {
    await rm(path, { force: true });
    throw new CasemateError(
      'ENGINE_FAILED',
      `cannot make the sandbox's home: mke2fs: ${visible(result.stderr.toString('utf8').trim()).slice(0, 300)}`,
    );
  }
}
