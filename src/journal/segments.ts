import { constants } from 'node:fs';
import { readdir, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';

import { CasemateError } from '../base/errors.ts';
import { visible } from '../base/text.ts';
import { isErrno } from '../system/files.ts';
import { openRegular } from './open-regular.ts';

/** The files of a journal: `journal-000001.jsonl` and on, one chain through all of them. */

export interface Segment {
  /** file name, or path for a file outside a journal folder */
  readonly name: string;
  readonly path: string;
}

const segmentName = /^journal-(\d{6,})\.jsonl$/;

export function segmentAt(folder: string, number: number): Segment {
  const name = `journal-${String(number).padStart(6, '0')}.jsonl`;
  return { name, path: join(folder, name) };
}

/** All segments in order; empty when the folder has none or does not exist. Throws `JOURNAL_INVALID` for a gap. */
export async function listSegments(folder: string): Promise<readonly Segment[]> {
  const names = await readdir(folder).catch((error: unknown): string[] => {
    if (isErrno(error, 'ENOENT')) {
      return [];
    }
    throw error;
  });
  const numbers = names
    .flatMap((name) => segmentName.exec(name)?.[1] ?? [])
    .map(Number)
    .toSorted((a, b) => a - b);
  return numbers.map((number, index) => {
    const segment = segmentAt(folder, number);
    if (number !== index + 1 || !names.includes(segment.name)) {
      throw new CasemateError(
        'JOURNAL_INVALID',
        `${visible(join(folder, segmentAt(folder, index + 1).name))} is missing from the journal`,
        {
          hint: 'A segment was removed or renamed. Bring it back from a backup.',
        },
      );
    }
    return segment;
  });
}

export async function openSegment(segment: Segment): Promise<FileHandle> {
  return await openRegular(segment.path, { flags: constants.O_RDONLY, code: 'JOURNAL_INVALID' });
}
