import { randomUUID } from 'node:crypto';
import { constants, mkdirSync, renameSync, statSync } from 'node:fs';
import { mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

import { CasemateError } from '../../base/errors.ts';
import { visible } from '../../base/text.ts';
import { isErrno, privateFolder } from '../../system/files.ts';
import { ownNames, ownStats } from '../../system/own-files.ts';
import { run } from '../../system/process.ts';
import { fullDisk } from './full-disk.ts';

/**
 * A home of limited size: an ext4 file system in a sparse file next to the home folder, which `stage.pl` mounts only in the
 * sandbox's mount namespace. Past its size a write fails inside with ENOSPC; inodes are limited too.
 */
export interface HomeDisk {
  readonly image: string;
  /** where the private mount namespace has it */
  readonly mountPoint: string;
  /** made just now: what mke2fs puts in beside the files of the home is taken out again */
  readonly isFresh: boolean;
  /** It was blank, and mounted with the container that waited for this sandbox. */
  readonly isMounted?: boolean | undefined;
  /** It was blank, and the files of the home are still to be put into it. */
  readonly isToFill?: boolean | undefined;
}

export interface HomeDiskOptions {
  readonly env: Readonly<Record<string, string>>;
  readonly sizeBytes: number;
  readonly mountPoint: string;
  /** private folder of ours, where a blank image may lie ready */
  readonly blanks: string;
  /** that of the container, made ahead, where the sandbox has one */
  readonly held?: string | undefined;
}

const smallestBytes = 32 * 1024 * 1024;

export function homeImage(home: string): string {
  return `${home}.ext4`;
}

/**
 * Made once, from the files of `home` as we wrote them; from then on the image is the home and the folder is not looked
 * at. Blocks are reserved for nobody, tables are written on first use, so that making it does not depend on its size.
 */
export async function ensureHomeDisk(home: string, options: HomeDiskOptions): Promise<HomeDisk> {
  const { env, sizeBytes, mountPoint, blanks, held } = options;
  const image = homeImage(home);
  mkdirSync(mountPoint, { recursive: true, mode: 0o700 });
  if (ownStats(image) !== undefined) {
    await dropHeld(held);
    return { image, mountPoint, isFresh: false };
  }
  if (isOurs(home)) {
    const isToFill = (ownNames(home) ?? []).length > 0;
    if (held !== undefined && movedTo(held, image)) {
      return { image, mountPoint, isFresh: true, isMounted: true, isToFill };
    }
    if (await takeBlank(blanks, sizeBytes, image)) {
      return { image, mountPoint, isFresh: true, isToFill };
    }
  }
  await dropHeld(held);
  const partial = `${image}.new`;
  await rm(partial, { force: true });
  await makeImage(partial, ['-d', home], { env, sizeBytes });
  await rename(partial, image);
  return { image, mountPoint, isFresh: true };
}

/** For a container that waits: mounted with it, and moved to the home of the sandbox that takes it. */
export async function holdBlank(held: string, { env, sizeBytes, mountPoint, blanks }: HomeDiskOptions): Promise<HomeDisk> {
  await privateFolder(blanks);
  await mkdir(mountPoint, { recursive: true, mode: 0o700 });
  if (!(await takeBlank(blanks, sizeBytes, held))) {
    await makeBlank(blanks, basename(held), { env, sizeBytes });
  }
  return { image: held, mountPoint, isFresh: true };
}

/** Where it lies until then; of a name that no blank one has. */
export function heldImage(blanks: string, id: string): string {
  return join(blanks, `${heldPrefix}${id}.ext4`);
}

const heldPrefix = 'held-';
const draftPrefix = 'draft-';

function isAnothers(name: string): boolean {
  return name.startsWith(heldPrefix) || name.startsWith(draftPrefix);
}

/** The container is another's now. */
export function passHeld(blanks: string, from: string, to: string): void {
  movedTo(heldImage(blanks, from), heldImage(blanks, to));
}

/** Its mount, where there is one, goes with the container's. */
export async function dropHeld(held: string | undefined): Promise<void> {
  await (held === undefined ? undefined : rm(held, { force: true }));
}

/**
 * Makes blank images for the next new homes of this size: a throw-away sandbox is then not kept waiting for mke2fs. Each
 * is used once, by moving it away; only those of the size that was asked for last are kept.
 */
export async function keepBlanks(blanks: string, { count, ...options }: BlankOptions): Promise<void> {
  await privateFolder(blanks);
  const wanted = Array.from({ length: count }, (_, index) => blankName(options.sizeBytes, index));
  const found = await readdir(blanks);
  // Another may be made at this moment, for a container that waits.
  const others = found.filter((name) => !wanted.includes(name) && !isAnothers(name));
  await Promise.all(others.map((name) => rm(join(blanks, name), { recursive: true, force: true })));
  for (const name of wanted.filter((each) => !found.includes(each))) {
    // oxlint-disable-next-line no-await-in-loop -- nobody waits for them, and others want the disk
    await makeBlank(blanks, name, options);
  }
}

type BlankOptions = Pick<HomeDiskOptions, 'env' | 'sizeBytes'> & { readonly count: number };

async function makeBlank(blanks: string, name: string, options: Pick<HomeDiskOptions, 'env' | 'sizeBytes'>): Promise<void> {
  const draft = join(blanks, `${draftPrefix}${randomUUID()}`);
  await mkdir(join(draft, 'home'), { recursive: true, mode: 0o700 });
  try {
    await makeImage(join(draft, name), ['-d', join(draft, 'home')], options);
    await rename(join(draft, name), join(blanks, name));
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
}

/** Of a process that was killed while it made one, or before a sandbox had moved one to its home. */
export async function removeBlankDrafts(blanks: string): Promise<void> {
  const names = await readdir(blanks).catch((): string[] => []);
  await Promise.all(names.filter(isAnothers).map((name) => rm(join(blanks, name), { recursive: true, force: true })));
}

function blankName(sizeBytes: number, index: number): string {
  return `${sizeBytes}-${index}.ext4`;
}

/** What mke2fs makes of its folder itself is what it made of another folder of ours. */
function isOurs(home: string): boolean {
  const { uid, gid } = statSync(home);
  return uid === process.geteuid?.() && gid === process.getegid?.();
}

/** Moved away, so that no two homes get one. */
async function takeBlank(blanks: string, sizeBytes: number, image: string): Promise<boolean> {
  const names = await readdir(blanks).catch((): string[] => []);
  for (const name of names.filter((each) => each.startsWith(`${sizeBytes}-`))) {
    if (movedTo(join(blanks, name), image)) {
      return true;
    }
  }
  return false;
}

/** `false`: it is not there any more, or on another disk. */
function movedTo(from: string, to: string): boolean {
  try {
    renameSync(from, to);
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
