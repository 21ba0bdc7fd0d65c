import { constants, linkSync, lstatSync, mkdirSync, renameSync, statSync, unlinkSync, writeFileSync } from 'node:fs';
import { open, readFile, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

import { CasemateError } from '../base/errors.ts';
import { keepTrying } from './keep-trying.ts';
import { leftBehind, ownMark } from './owner-mark.ts';

/**
 * Writes the files of our own state: private, whole or not at all, and durable before they are reported. What need not outlive
 * a power cut is written in place, for the reasons of `own-files.ts`.
 */

/** Makes `path` and its parents with mode 0700; refuses one that others can enter. */
export async function privateFolder(path: string): Promise<string> {
  makeFolders(path);
  const stats = lstatSync(path);
  if (!stats.isDirectory() || (stats.mode & 0o077) !== 0) {
    throw new CasemateError('PATH_INVALID', `${path} must be a folder that only you can enter`, {
      hint: `Run: chmod 700 ${path}`,
    });
  }
  return path;
}

/**
 * Makes `path` and what is missing above it with mode 0700. `mkdir` of Node, told to make those above, too, never comes back
 * from a file system that makes none, as that of `/proc` is. Throws `PATH_INVALID`, or what the disk said.
 */
export function makeFolders(path: string): void {
  try {
    makeOne(path);
  } catch (error) {
    const above = dirname(path);
    if (!isErrno(error, 'ENOENT') || above === path) {
      throw error;
    }
    makeFolders(above);
    makeLast(path);
  }
}

function makeOne(path: string): void {
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    if (!isErrno(error, 'EEXIST') || !statSync(path).isDirectory()) {
      throw error;
    }
  }
}

function makeLast(path: string): void {
  try {
    makeOne(path);
  } catch (error) {
    throw isErrno(error, 'ENOENT')
      ? new CasemateError('PATH_INVALID', `no folder can be made at ${path}: its file system has none but its own`, {
          cause: error,
        })
      : error;
  }
}

/** Replaces `path` by `content` in one step that survives a crash: temporary file, fsync, rename, fsync of the folder. */
export async function writeDurably(path: string, content: string | Uint8Array, mode = 0o600): Promise<void> {
  const temporary = await draftOf(path);
  const file = await open(temporary, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW, mode);
  try {
    await file.writeFile(content);
    await file.chmod(mode);
    await file.sync();
    await file.close();
    await rename(temporary, path);
  } catch (error) {
    await file.close().catch(() => undefined);
    await discard(temporary);
    throw error;
  }
  await syncFolder(dirname(path));
}

/**
 * Makes `path` with `content` in one step: nobody finds it half-written, and of two who try one fails with `EEXIST`. It need
 * not outlive a power cut.
 */
export async function writeNew(path: string, content: string): Promise<void> {
  const draft = await draftOf(path);
  try {
    writeFileSync(draft, content, { mode: 0o600, flag: 'wx' });
    linkSync(draft, path);
  } finally {
    await discard(draft);
  }
}

/** Replaces `path` in one step, which need not outlive a power cut. */
export async function replaceFile(path: string, content: string): Promise<void> {
  const draft = await draftOf(path);
  try {
    writeFileSync(draft, content, { mode: 0o600, flag: 'wx' });
    renameSync(draft, path);
  } catch (error) {
    await discard(draft);
    throw error;
  }
}

/**
 * Removes a file of our state; one that the disk does not let go of for a moment is tried again, because nobody else does while
 * this process lives. Throws what the last attempt threw.
 */
export async function removeFile(path: string): Promise<void> {
  await keepTrying(async () => unlinkIfThere(path), { attempts: 3, waitMs: 50 });
}

/** In one step, where `rm` of Node looks at the path twice before. */
function unlinkIfThere(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) {
      throw error;
    }
  }
}

/** Whether it was written does not hang on this: a draft that stays is taken away with those of killed processes. */
async function discard(draft: string): Promise<void> {
  await removeFile(draft).catch(() => undefined);
}

async function draftOf(path: string): Promise<string> {
  return join(dirname(path), `.${basename(path)}.${await ownMark()}.${randomName()}`);
}

const draftName = /^\..+\.(\d+-\d+)\.[0-9a-f]{12}$/;

/** Removes the drafts that killed processes left in a folder of ours. */
export async function removeDrafts(folder: string): Promise<void> {
  const left = await leftBehind(folder, draftName);
  await Promise.all(left.map((path) => rm(path, { force: true })));
}

export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/**
 * The text of a file, or `undefined` when there is none. Other faults are thrown. The kernel's own files (cgroups(7), proc(5))
 * say `ENODEV` or `ESRCH` when what they tell of went between the opening and the reading; no file of a disk does.
 */
export async function readTextIfPresent(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (gone.some((code) => isErrno(error, code))) {
      return undefined;
    }
    throw error;
  }
}

const gone = ['ENOENT', 'ENOTDIR', 'ENODEV', 'ESRCH'];

export function isErrno(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}

/** Not from `node:crypto`, which takes a third of what Node itself takes to start: most commands make no file. */
function randomName(): string {
  return Buffer.from(globalThis.crypto.getRandomValues(new Uint8Array(6))).toString('hex');
}
