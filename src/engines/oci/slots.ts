import { createHash } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';

import { CasemateError } from '../../base/errors.ts';
import { isErrno, privateFolder, removeDrafts, removeFile, replaceFile, writeNew } from '../../system/files.ts';
import { ownText } from '../../system/own-files.ts';
import { slotCount } from './ids.ts';
import { oneAtATime } from '../one-at-a-time.ts';

/**
 * Ranges of host ids, one for each sandbox that root runs. A range is a file named by its number, created exclusively, with the
 * sandbox's id in it. The number of a sandbox without a record is taken over, unless that sandbox is just being made.
 */
export interface Slots {
  readonly take: (id: string) => Promise<number>;
  /** The range is another sandbox's from now on; at no moment is it nobody's. */
  readonly pass: (slot: number, from: string, to: string) => Promise<void>;
  readonly free: (slot: number, id: string) => Promise<void>;
  /** Frees the numbers of sandboxes that have no record; while nobody else makes any in this folder. */
  readonly tidy: () => Promise<void>;
}

export function idSlots(folder: string, isKnown: (id: string) => Promise<boolean>): Slots {
  // Installations beside each other begin their search in different places.
  const start = createHash('sha256').update(folder).digest().readUInt16BE(0) % slotCount;
  const fileOf = (slot: number | string): string => join(folder, String(slot));
  // Its record may not be written yet: whoever comes meanwhile must not take the range over.
  const taken = new Set<string>();
  const isOwned = async (id: string): Promise<boolean> => taken.has(id) || (await isKnown(id));
  // Two that take one over at once would both believe that it is theirs; and one that was taken over between the look at whose it
  // is and its removal would be nobody's.
  const inTurn = oneAtATime();
  const firstFree = async (id: string): Promise<number> => {
    for (let step = 0; step < slotCount; step += 1) {
      const slot = (start + step) % slotCount;
      // oxlint-disable-next-line no-await-in-loop -- the first free one
      if (await claim(fileOf(slot), id, isOwned)) {
        taken.add(id);
        return slot;
      }
    }
    throw new CasemateError('ENGINE_FAILED', `all ${slotCount} id ranges are in use`, {
      hint: 'Destroy sandboxes you no longer need.',
    });
  };
  return {
    async take(id) {
      await privateFolder(folder);
      return inTurn('slots', () => firstFree(id));
    },
    pass: (slot, from, to) =>
      inTurn('slots', async () => {
        if (ownText(fileOf(slot)) !== from) {
          throw new CasemateError('ENGINE_FAILED', `the id range ${slot} is not of ${from}`);
        }
        taken.add(to);
        await replaceFile(fileOf(slot), to);
        taken.delete(from);
      }),
    free: (slot, id) =>
      inTurn('slots', async () => {
        if (ownText(fileOf(slot)) === id) {
          await removeFile(fileOf(slot));
        }
        taken.delete(id);
      }),
    tidy: () =>
      inTurn('slots', async () => {
        await removeDrafts(folder);
        const names = (await readdir(folder).catch((): string[] => [])).filter((name) => /^\d+$/.test(name));
        await Promise.all(names.map((name) => freeIfLost(fileOf(name), isOwned)));
      }),
  };
}

async function claim(file: string, id: string, isOwned: (id: string) => Promise<boolean>): Promise<boolean> {
  try {
    await writeNew(file, id);
    return true;
  } catch (error) {
    if (!isErrno(error, 'EEXIST')) {
      throw error;
    }
  }
  return (await freeIfLost(file, isOwned)) && (await claim(file, id, isOwned));
}

/** Also an empty one: an earlier version was killed between making and writing it. */
async function freeIfLost(file: string, isOwned: (id: string) => Promise<boolean>): Promise<boolean> {
  const owner = ownText(file);
  if (owner === undefined || (owner !== '' && (await isOwned(owner)))) {
    return false;
  }
  await removeFile(file);
  return true;
}
