import { lstat, readFile, rmdir, unlink } from 'node:fs/promises';
import { join, relative } from 'node:path';

import { isErrno } from '../../system/files.ts';
import type { EngineRecord } from './records.ts';

/** The end of what `stage.pl` put into a workspace to keep a name taken. */

export interface Removal {
  /** Another sandbox that protects the same path: the placeholder is its own from now on. */
  readonly handOver: readonly { readonly to: EngineRecord; readonly placeholders: EngineRecord['placeholders'] }[];
}

/**
 * Takes placeholders out of a workspace again: only what is still as it was made. A folder that has got content, a file
 * with other content, whatever stands there instead: all that is the user's and stays. To remove one that another sandbox
 * protects would open the name in that sandbox (the kernel drops its mount), so that one is handed over.
 */
export async function removePlaceholders(record: EngineRecord, others: readonly EngineRecord[]): Promise<Removal> {
  const handOver: { to: EngineRecord; placeholders: EngineRecord['placeholders'] }[] = [];
  // Deepest first, so that a placeholder in a placeholder goes before it, also one that was handed over later.
  for (const { path, placeholder } of record.placeholders.toSorted((a, b) => depth(b.path) - depth(a.path))) {
    const absolute = join(record.spec.workspace.path, path);
    const heir = others.find((other) => other.spec.id !== record.spec.id && protects(other, absolute));
    if (heir === undefined) {
      // oxlint-disable-next-line no-await-in-loop -- the order is the point
      await removeOne(absolute, placeholder);
    } else {
      handOver.push({ to: heir, placeholders: [{ path: relative(heir.spec.workspace.path, absolute), placeholder }] });
    }
  }
  return { handOver };
}

function depth(path: string): number {
  return path.split('/').length;
}

function protects({ spec, protections }: EngineRecord, absolute: string): boolean {
  return protections.some((path) => join(spec.workspace.path, path) === absolute);
}

type Kind = EngineRecord['placeholders'][number]['placeholder'];

async function removeOne(path: string, placeholder: Kind): Promise<void> {
  try {
    const stats = await lstat(path);
    if (placeholder === 'folder' && stats.isDirectory()) {
      await rmdir(path);
    } else if (placeholder === 'socket' && stats.isSocket()) {
      await unlink(path);
    } else if (
      placeholder === 'commondir' &&
      stats.isFile() &&
      stats.size <= 2 &&
      ['', '.\n'].includes(await readFile(path, 'utf8'))
    ) {
      await unlink(path);
    }
  } catch (error) {
    if (!['ENOENT', 'ENOTDIR', 'ENOTEMPTY', 'EEXIST'].some((code) => isErrno(error, code))) {
      throw error;
    }
  }
}
