import { constants } from 'node:fs';
import { open } from 'node:fs/promises';

import { maxLineBytes } from './encode-record.ts';
import { decodeRecord } from './line-grammar.ts';
import type { Segment } from './segments.ts';

/**
 * A journal has begun once its opening record is signed and the witness knows of it; nothing is reported before that. A first
 * writer that is killed earlier leaves the opening record, whole or cut, and perhaps part of the signature after it.
 */

const opening = '{"action":"journal.opened",';
const signature = '{"action":"journal.checkpoint",';

/** How many bytes there are of a beginning like that, where there is nothing else; `undefined`: it is another journal. */
export async function unbegunBytes([only, ...more]: readonly Segment[]): Promise<number | undefined> {
  if (only === undefined || more.length > 0) {
    return undefined;
  }
  const file = await open(only.path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const stats = await file.stat();
    const isSmall = stats.isFile() && stats.size < 2 * maxLineBytes;
    return isSmall && isUnbegun(await file.readFile()) ? stats.size : undefined;
  } finally {
    await file.close();
  }
}

function isUnbegun(bytes: Buffer): boolean {
  const end = bytes.indexOf(0x0a);
  if (end < 0) {
    return isCut(bytes, opening);
  }
  const first = decodeRecord(bytes.subarray(0, end));
  const rest = bytes.subarray(end + 1);
  const isOpening = first?.action === 'journal.opened' && first.seq === 1 && first.detail?.['witness'] === 'absent';
  return isOpening && !rest.includes(0x0a) && isCut(rest, signature);
}

/** Whether it is a line that begins so, or the beginning of that. */
function isCut(bytes: Buffer, beginning: string): boolean {
  const text = bytes.toString('latin1', 0, beginning.length);
  return beginning.startsWith(text);
}
