import { constants } from 'node:fs';
import { open, stat, type FileHandle } from 'node:fs/promises';
import { basename, join } from 'node:path';

import { readTextIfPresent } from '../../system/files.ts';
import { builtinChain, recipeDigest } from '../recipes/find-recipe.ts';
import { openRecord, textDigest, type ImageFile } from './image-record.ts';
import type { ImageRecord } from '../image.ts';
import { builtinRecipes, type RecipeTarget } from '../recipes/recipes.ts';

/** Opens one folder of the store: an image that can be used, or one that was changed. */

export interface StoredImage extends ImageRecord, Omit<ImageFile, 'digest' | 'recipe' | 'createdAt' | 'bytes' | 'lockDigest'> {
  readonly folder: string;
  /** built from the recipe as it is now; `false`: the recipe has changed since */
  readonly current: boolean;
}

export interface DamagedImage {
  /** from the name of the folder */
  readonly digest: string;
  readonly folder: string;
  /** what the damaged record says it is, if anything */
  readonly recipe: string | undefined;
  readonly fault: string;
}

/** `undefined`: there is none */
export type Opened = StoredImage | DamagedImage | undefined;

export function isDamaged(image: StoredImage | DamagedImage): image is DamagedImage {
  return 'fault' in image;
}

export const folderName = /^sha256-([0-9a-f]{64})$/;

/** What says what an image is; each is checked against what the record says of it. */
export const sealed = ['image.json', 'lock.json', 'bom.json'] as const;

/**
 * `undefined` when the folder was removed meanwhile. Its files are read through one handle: another process may put another folder
 * in its place between two of them. One that was taken away, and is being removed, says nothing of what has that name now.
 */
export async function openImage(folder: string, target: RecipeTarget): Promise<Opened> {
  for (;;) {
    // oxlint-disable-next-line no-await-in-loop -- again only where another folder has the name by now
    const held = await open(folder, constants.O_RDONLY | constants.O_DIRECTORY).catch(() => undefined);
    if (held === undefined) {
      return undefined;
    }
    try {
      // oxlint-disable-next-line no-await-in-loop -- as above
      const opened = await openHeld(`/proc/self/fd/${held.fd}`, folder, target);
      // oxlint-disable-next-line no-await-in-loop -- as above
      if ((opened !== undefined && !isDamaged(opened)) || (await isAt(folder, held))) {
        return opened;
      }
    } finally {
      // oxlint-disable-next-line no-await-in-loop -- as above
      await held.close();
    }
  }
}

async function isAt(folder: string, held: FileHandle): Promise<boolean> {
  const [named, own] = await Promise.all([stat(folder, { bigint: true }).catch(() => undefined), held.stat({ bigint: true })]);
  return named?.dev === own.dev && named.ino === own.ino;
}

/** `at`: a path of the very folder. */
async function openHeld(at: string, folder: string, target: RecipeTarget): Promise<Opened> {
  const [text, lock, bom] = await Promise.all(sealed.map((name) => readTextIfPresent(join(at, name))));
  if (text === undefined && lock === undefined && bom === undefined) {
    return undefined;
  }
  const digest = `sha256:${folderName.exec(basename(folder))?.[1] ?? ''}`;
  const record = openRecord(text ?? '');
  if (record === undefined || record.digest !== digest) {
    return { digest, folder, recipe: claimedRecipe(text), fault: 'its record was changed' };
  }
  if (!belongsTo(record, { lock: lock ?? '', bom: bom ?? '' })) {
    return { digest, folder, recipe: record.recipe, fault: 'its lock or its bill of materials was changed' };
  }
  return { ...record, folder, rootfs: join(folder, 'rootfs'), current: isCurrent(record, target) };
}

function belongsTo({ lockDigest, bomDigest }: ImageFile, { lock, bom }: { lock: string; bom: string }): boolean {
  return textDigest(lock.trimEnd()) === lockDigest && textDigest(bom) === bomDigest;
}

function claimedRecipe(text = ''): string | undefined {
  return /"recipe":\s*"([a-z0-9-]{1,40})"/.exec(text)?.[1];
}

function isCurrent({ builtin, recipe, recipeDigest: built }: ImageFile, target: RecipeTarget): boolean {
  // A recipe file is not kept by us; its image stays the one of its name until it is built again.
  return !builtin || (Object.hasOwn(builtinRecipes, recipe) && recipeDigest(builtinChain(recipe, target)) === built);
}
