import { constants } from 'node:fs';
import { lstat, open, rmdir, unlink } from 'node:fs/promises';
import { basename, dirname, join, relative } from 'node:path';

import { allDone } from '../../base/all-done.ts';
import { isErrno } from '../../system/files.ts';
import { inPlainFolder } from '../../system/plain-folder.ts';
import type { EngineRecord } from '../records.ts';

/** Removes the placeholders that `stage.pl` put into a workspace to keep names taken. */

export type Listed = EngineRecord['placeholders'][number];

export interface Shares {
  /** to be removed with the sandbox */
  readonly own: readonly Listed[];
  /** by id of a sandbox that protects the same path: the placeholder is its own from now on */
  readonly handOver: readonly { readonly to: string; readonly placeholders: readonly Listed[] }[];
}

/**
 * To remove a placeholder that another sandbox protects would open the name in that sandbox (the kernel drops its mount),
 * so that one is handed over. Pure.
 */
export function shareOut(record: EngineRecord, others: readonly EngineRecord[]): Shares {
  const own: Listed[] = [];
  const handOver: { to: string; placeholders: readonly Listed[] }[] = [];
  for (const { path, placeholder } of record.placeholders) {
    const absolute = join(record.spec.workspace.path, path);
    const heir = others.find((other) => other.spec.id !== record.spec.id && protects(other, absolute));
    if (heir === undefined) {
      own.push({ path, placeholder });
    } else {
      const { id, workspace } = heir.spec;
      handOver.push({ to: id, placeholders: [{ path: relative(workspace.path, absolute), placeholder }] });
    }
  }
  return { own, handOver };
}

/**
 * Takes placeholders out of a workspace again: only what is still as it was made. A folder that has got content, a file
 * with other content, whatever stands there instead: all that is the user's and stays. The workspace may lie in another
 * sandbox's, which may have put a link in its place by now: none is followed.
 */
export async function removePlaceholders(workspace: string, placeholders: readonly Listed[]): Promise<void> {
  // Deepest first, so that a placeholder in a placeholder goes before it, also one that was handed over later.
  const deepestFirst = placeholders.toSorted((a, b) => depth(b.path) - depth(a.path));
  for (const [folder, listed] of Map.groupBy(deepestFirst, ({ path }) => dirname(path))) {
    // oxlint-disable-next-line no-await-in-loop -- the order is the point
    await inPlainFolder(join(workspace, folder), (at) =>
      allDone(listed.map(({ path, placeholder }) => removeOne(join(at, basename(path)), placeholder))),
    );
  }
}

function depth(path: string): number {
  return path.split('/').length;
}

function protects({ spec, protections }: EngineRecord, absolute: string): boolean {
  return protections.some((path) => join(spec.workspace.path, path) === absolute);
}

async function removeOne(path: string, placeholder: Listed['placeholder']): Promise<void> {
  try {
    const stats = await lstat(path);
    if (placeholder === 'folder' && stats.isDirectory()) {
      await rmdir(path);
    } else if (
      (placeholder === 'socket' && stats.isSocket()) ||
      (stats.isFile() && (await isAsMade(path, placeholder, stats.size)))
    ) {
      await unlink(path);
    }
  } catch (error) {
    if (!['ENOENT', 'ENOTDIR', 'ENOTEMPTY', 'EEXIST', 'ELOOP'].some((code) => isErrno(error, code))) {
      throw error;
    }
  }
}

/** Of those that are files: what each holds that says nothing to git. One that was being made holds nothing yet. */
async function isAsMade(path: string, placeholder: Listed['placeholder'], size: number): Promise<boolean> {
  const contents: readonly string[] = placeholder === 'commondir' ? ['', '.\n'] : placeholder === 'empty' ? [''] : [];
  return size <= 2 && contents.length > 0 && contents.includes(await readPlain(path));
}

async function readPlain(path: string): Promise<string> {
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    return await file.readFile('utf8');
  } finally {
    await file.close();
  }
}
