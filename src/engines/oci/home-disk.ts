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
  if ((await isEmpty(home)) && (await takeBlank(blanks, sizeBytes, image))) {
    return { image, mountPoint, isFresh: true };
  }
  const partial = `${image}.new`;
  await rm(partial, { force: true });
  await makeImage(partial, ['-d', home], { env, sizeBytes });
  await rename(partial, image);
  return { image, mountPoint, isFresh: true };
}

/**
 * Makes blank images for the next new homes of this size: a throw-away sandbox is then not kept waiting for mke2fs. Each
 * is used once, by moving it away; only those of the size that was asked for last are kept.
 */
export async function keepBlanks(blanks: string, { count, ...options }: BlankOptions): Promise<void> {
  await privateFolder(blanks);
  const wanted = Array.from({ length: count }, (_, index) => blankName(options.sizeBytes, index));
  const found = await readdir(blanks);
  const others = found.filter((name) => !wanted.includes(name));
  await Promise.all(others.map((name) => rm(join(blanks, name), { recursive: true, force: true })));
  for (const name of wanted.filter((each) => !found.includes(each))) {
    // oxlint-disable-next-line no-await-in-loop -- nobody waits for them, and others want the disk
    await makeBlank(blanks, name, options);
  }
}

type BlankOptions = Pick<HomeDiskOptions, 'env' | 'sizeBytes'> & { readonly count: number };

async function makeBlank(blanks: string, name: string, options: Pick<HomeDiskOptions, 'env' | 'sizeBytes'>): Promise<void> {
  const draft = join(blanks, `draft-${randomUUID()}`);
  await mkdir(join(draft, 'home'), { recursive: true, mode: 0o700 });
  try {
    await makeImage(join(draft, name), ['-d', join(draft, 'home')], options);
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

function blankName(sizeBytes: number, index: number): string {
  return `${sizeBytes}-${index}.ext4`;
}

/** Ours and without any file: what mke2fs would make of it is what it made of another empty folder of ours. */
async function isEmpty(home: string): Promise<boolean> {
  const { uid, gid } = await stat(home);
  return uid === process.geteuid?.() && gid === process.getegid?.() && (await readdir(home)).length === 0;
}

/** Moved away, so that no two homes get one. */
async function takeBlank(blanks: string, sizeBytes: number, image: string): Promise<boolean> {
  const names = await readdir(blanks).catch((): string[] => []);
  for (const name of names.filter((each) => each.startsWith(`${sizeBytes}-`))) {
    try {
      // oxlint-disable-next-line no-await-in-loop -- the first that nobody else has taken
      await rename(join(blanks, name), image);
      return true;
    } catch (error) {
      if (!isErrno(error, 'ENOENT') && !isErrno(error, 'EXDEV')) {
        throw error;
      }
    }
  }
  return false;
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
