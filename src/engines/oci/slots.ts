import { createHash } from 'node:crypto';
import { open, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';

import { CasemateError } from '../../base/errors.ts';
import { isErrno, privateFolder } from '../../system/files.ts';
import { slotCount } from './ids.ts';

/**
 * Ranges of host ids, one for each sandbox that root runs: a file named by the number, made exclusively. Two processes
 * cannot get one number; a number whose sandbox has no record any more is taken over.
 */
export interface Slots {
  readonly take: (id: string) => Promise<number>;
  readonly free: (slot: number, id: string) => Promise<void>;
}

export function idSlots(folder: string, isKnown: (id: string) => Promise<boolean>): Slots {
  // Installations beside each other begin their search in different places.
  const start = createHash('sha256').update(folder).digest().readUInt16BE(0) % slotCount;
  const fileOf = (slot: number): string => join(folder, String(slot));
  return {
    async take(id) {
      await privateFolder(folder);
      for (let step = 0; step < slotCount; step += 1) {
        const slot = (start + step) % slotCount;
        // oxlint-disable-next-line no-await-in-loop -- the first free one
        if (await claim(fileOf(slot), id, isKnown)) {
          return slot;
        }
      }
      throw new CasemateError('ENGINE_FAILED', `all ${slotCount} id ranges are in use`, {
        hint: 'Destroy sandboxes you no longer need.',
      });
    },
    async free(slot, id) {
      if ((await ownerOf(fileOf(slot))) === id) {
        await rm(fileOf(slot), { force: true });
      }
    },
  };
}

async function claim(file: string, id: string, isKnown: (id: string) => Promise<boolean>): Promise<boolean> {
  try {
    const handle = await open(file, 'wx', 0o600);
    await handle.writeFile(id);
    await handle.close();
    return true;
  } catch (error) {
    if (!isErrno(error, 'EEXIST')) {
      throw error;
    }
  }
  const owner = await ownerOf(file);
  // Empty: somebody is between making and writing it.
  if (owner === undefined || owner === '' || (await isKnown(owner))) {
    return false;
  }
  await rm(file, { force: true });
  return claim(file, id, async () => true);
}

async function ownerOf(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if (isErrno(error, 'ENOENT')) {
      return undefined;
    }
    throw error;
  }
}
