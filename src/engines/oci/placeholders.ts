import { lstat, readFile, rmdir, unlink } from 'node:fs/promises';
import { join } from 'node:path';

import { isErrno } from '../../system/files.ts';
import type { EngineRecord } from './records.ts';

/**
 * Takes placeholders out of a workspace again: only what is still as it was made. A folder that has got content, a file
 * with other content, whatever stands there instead: all that is the user's and stays.
 */
export async function removePlaceholders(record: EngineRecord, others: readonly EngineRecord[]): Promise<void> {
  const shared = new Set(
    others
      .filter((other) => other.spec.id !== record.spec.id && other.spec.workspace.path === record.spec.workspace.path)
      .flatMap((other) => other.placeholders.map(({ path }) => path)),
  );
  // Deepest first, so that a placeholder in a placeholder goes before it.
  for (const { path, placeholder } of record.placeholders.toReversed()) {
    if (!shared.has(path)) {
      // oxlint-disable-next-line no-await-in-loop -- the order is the point
      await removeOne(join(record.spec.workspace.path, path), placeholder);
    }
  }
}

type Kind = EngineRecord['placeholders'][number]['placeholder'];

async function removeOne(path: string, placeholder: Kind): Promise<void> {
  try {
    const stats = await lstat(path);
    if (placeholder === 'folder' && stats.isDirectory()) {
      await rmdir(path);
    } else if (placeholder === 'socket' && stats.isSocket()) {
      await unlink(path);
    } else if (placeholder === 'commondir' && stats.isFile() && stats.size <= 2 && ['', '.\n'].includes(await readFile(path, 'utf8'))) {
      await unlink(path);
    }
  } catch (error) {
    if (!['ENOENT', 'ENOTDIR', 'ENOTEMPTY', 'EEXIST'].some((code) => isErrno(error, code))) {
      throw error;
    }
  }
}
