import { constants, fstatSync, write as writeAt } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';

import { CasemateError } from '../base/errors.ts';
import { syncFolder } from '../system/files.ts';
import type { BatchStore } from './append-queue.ts';
import { openRegular } from './open-regular.ts';
import { segmentAt } from './segments.ts';

/** Writes batches of lines to the segments of a journal, and begins a new segment when one is full. */
export interface SegmentWriter extends BatchStore {
  readonly close: () => Promise<void>;
}

export interface SegmentWriterOptions {
  /** number of the segment to go on with */
  readonly segment: number;
  readonly maxSegmentBytes: number;
  /** how bytes get durable: a parameter for tests of failing disks; default: each write is durable when it returns */
  readonly sync?: ((file: FileHandle) => Promise<void>) | undefined;
}

export async function segmentWriter(folder: string, options: SegmentWriterOptions): Promise<SegmentWriter> {
  const { maxSegmentBytes, sync } = options;
  const openAt = (at: number): Promise<FileHandle> => openForAppend(folder, at, sync === undefined ? constants.O_DSYNC : 0);
  let number = options.segment;
  let file = await openAt(number);
  let size = (await file.stat()).size;

  const rotate = async (): Promise<void> => {
    const next = await openAt(number + 1);
    const full = file;
    file = next;
    number += 1;
    size = 0;
    await full.close();
  };

  const write = async (bytes: Buffer): Promise<void> => {
    if (size > 0 && size + bytes.length > maxSegmentBytes) {
      await rotate();
    }
    // Cheap, and finds a file that was cut, deleted or written by somebody else while we run.
    const stats = fstatSync(file.fd);
    if (stats.size !== size || stats.nlink === 0) {
      throw new CasemateError('JOURNAL_UNWRITABLE', `${segmentAt(folder, number).path} was changed by another program`, {
        hint: 'Run: casemate journal verify',
      });
    }
    await writeFully(file, bytes);
    await sync?.(file);
    size += bytes.length;
  };

  return {
    write: (bytes) =>
      write(bytes).catch((error: unknown) => {
        throw unwritable(error, segmentAt(folder, number).path);
      }),
    async takeBack() {
      const { path } = segmentAt(folder, number);
      try {
        if (fstatSync(file.fd).size < size) {
          throw new CasemateError('JOURNAL_UNWRITABLE', `${path} was cut by another program`, {
            hint: 'Run: casemate journal verify',
          });
        }
        await file.truncate(size);
        await (sync?.(file) ?? file.datasync());
      } catch (error) {
        throw unwritable(error, path);
      }
    },
    close: () => file.close(),
  };
}

/** `durability`: `O_DSYNC`, or 0 where writes are synced by themselves. One call for both saves a turn of each request. */
async function openForAppend(folder: string, number: number, durability: number): Promise<FileHandle> {
  const { path } = segmentAt(folder, number);
  const flags = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | durability;
  try {
    const file = await openRegular(path, { flags, code: 'JOURNAL_UNWRITABLE' });
    await file.chmod(0o600);
    await syncFolder(dirname(path));
    return file;
  } catch (error) {
    throw unwritable(error, path);
  }
}

async function writeFully(file: FileHandle, bytes: Buffer): Promise<void> {
  for (let written = 0; written < bytes.length;) {
    // oxlint-disable-next-line no-await-in-loop -- a short write goes on where it ended
    written += await writeSome(file.fd, bytes, written);
  }
}

/** Not `file.write`: its promise and its bookkeeping cost as much again as the call. */
function writeSome(fd: number, bytes: Buffer, from: number): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  writeAt(fd, bytes, from, (error, count) => (error === null ? resolve(count) : reject(error)));
  return promise;
}

const hints: Readonly<Record<string, string>> = {
  ENOSPC: 'The disk is full: free some space.',
  EDQUOT: 'Your disk quota is used up: free some space.',
  EFBIG: 'The file may not grow further: see the limit on file sizes (ulimit -f).',
  EROFS: 'The file system is read-only.',
  EACCES: 'The folder and its files must belong to you.',
  EPERM: 'The folder and its files must belong to you.',
};

/** Any fault of the system as `JOURNAL_UNWRITABLE`, with the path. */
export function unwritable(error: unknown, path: string): unknown {
  if (!(error instanceof Error) || error instanceof CasemateError || !('code' in error)) {
    return error;
  }
  const code = String(error.code);
  return new CasemateError('JOURNAL_UNWRITABLE', `cannot write ${path}: ${code}`, {
    cause: error,
    hint: hints[code] ?? 'Nothing starts while the journal cannot be written.',
  });
}
