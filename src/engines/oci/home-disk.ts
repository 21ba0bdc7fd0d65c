import { randomUUID } from 'node:crypto';
import { constants } from 'node:fs';
import { mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import { CasemateError } from '../../base/errors.ts';
import { visible } from '../../base/text.ts';
import { isErrno, privateFolder } from '../../system/files.ts';
import { run } from '../../system/process.ts';
import { fullDisk } from './full-disk.ts';

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
  /** private folder of ours, where a blank image may lie ready */
  readonly blanks: string;
}

const smallestBytes = 32 * 1024 * 1024;

export function homeImage(home: string): string {
  return `${home}.ext4`;
}

/**
 * Made once, from the files of `home` as we wrote them; from then on the image is the home and the folder is not looked
 * at. Blocks are reserved for nobody, tables are written on first use, so that making it does not depend on its size.
 */
export async function ensureHomeDisk(home: string, { env, sizeBytes, mountPoint, blanks }: HomeDiskOptions): Promise<HomeDisk> {
  const image = homeImage(home);
  await mkdir(mountPoint, { recursive: true, mode: 0o700 });
  if ((await stat(image).catch(() => undefined)) !== undefined) {
    return { image, mountPoint, isFresh: false };
  }
  if ((await isEmpty(home)) && (await takeBlank(join(blanks, blankName(sizeBytes)), image))) {
    return { image, mountPoint, isFresh: true };
  }
  const partial = `${image}.new`;
  await rm(partial, { force: true });
  await makeImage(partial, ['-d', home], { env, sizeBytes });
  await rename(partial, image);
  return { image, mountPoint, isFresh: true };
}

/**
 * Makes a blank image for the next new home of this size: a throw-away sandbox is then not kept waiting for mke2fs. It
 * is used once, by moving it away; only the size that was asked for last is kept.
 */
export async function keepBlank(blanks: string, { env, sizeBytes }: Pick<HomeDiskOptions, 'env' | 'sizeBytes'>): Promise<void> {
  await privateFolder(blanks);
  const name = blankName(sizeBytes);
  const others = (await readdir(blanks)).filter((each) => each !== name);
  await Promise.all(others.map((each) => rm(join(blanks, each), { recursive: true, force: true })));
  if ((await stat(join(blanks, name)).catch(() => undefined)) !== undefined) {
    return;
  }
  const draft = join(blanks, `draft-${randomUUID()}`);
  await mkdir(join(draft, 'home'), { recursive: true, mode: 0o700 });
  try {
    await makeImage(join(draft, name), ['-d', join(draft, 'home')], { env, sizeBytes });
    await rename(join(draft, name), join(blanks, name));
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
}

/** Of a process that was killed while it made one. */
export async function removeBlankDrafts(blanks: string): Promise<void> {
  const drafts = (await readdir(blanks).catch((): string[] => [])).filter((name) => name.startsWith('draft-'));
  await Promise.all(drafts.map((name) => rm(join(blanks, name), { recursive: true, force: true })));
}

function blankName(sizeBytes: number): string {
  return `${sizeBytes}.ext4`;
}

/** Ours and without any file: what mke2fs would make of it is what it made of another empty folder of ours. */
async function isEmpty(home: string): Promise<boolean> {
  const { uid, gid } = await stat(home);
  return uid === process.geteuid?.() && gid === process.getegid?.() && (await readdir(home)).length === 0;
}

async function takeBlank(blank: string, image: string): Promise<boolean> {
  try {
    await rename(blank, image);
    return true;
  } catch (error) {
    if (isErrno(error, 'ENOENT') || isErrno(error, 'EXDEV')) {
      return false;
    }
    throw error;
  }
}

/** Throws `ENGINE_FAILED` with what mke2fs said, `TOOL_MISSING` when there is none. */
export async function makeImage(
  path: string,
  source: readonly string[],
  { env, sizeBytes }: Pick<HomeDiskOptions, 'env' | 'sizeBytes'>,
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
    // Asked before what was written is taken away again.
    const full = await fullDisk(dirname(path));
    await rm(path, { force: true });
    const said = visible(result.stderr.toString('utf8').trim()).slice(0, 300);
    throw full ?? new CasemateError('ENGINE_FAILED', `cannot make the sandbox's home: mke2fs: ${said}`);
  }
}
