import { randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';

import { CasemateError } from '../../base/errors.ts';
import { nearest, visible } from '../../base/text.ts';
import { readTextIfPresent, syncFolder, writeDurably } from '../../system/files.ts';
import { ownNames } from '../../system/own-files.ts';
import { canonicalJson, findRecipe, hostTarget, isRecipeFile, lastOf, recipeDigest } from '../recipes/find-recipe.ts';
import { sealRecord, type ImageFile } from './image-record.ts';
import type { ImageRecord, ImageStore } from '../image.ts';
import type { ImageTools } from '../tools/image-tools.ts';
import { knownFiles } from './known-files.ts';
import { parseLock, type Lock } from './lock.ts';
import { folderName, isDamaged, openImage, sealed, type DamagedImage, type Opened, type StoredImage } from './open-image.ts';
import { builtinRecipes, type RecipeTarget } from '../recipes/recipes.ts';
import { removeTrees } from '../tools/remove-trees.ts';

/** Images on disk: one folder for each digest, named by it, and complete from the moment it has its name. */

export interface LocalImageStore extends ImageStore {
  readonly find: (recipe: string) => Promise<StoredImage | undefined>;
  /** newest first, without damaged ones */
  readonly list: () => Promise<readonly StoredImage[]>;
  /** Folders whose record, lock or bill of materials is not as it was written: never used, only removed. */
  readonly damaged: () => Promise<readonly DamagedImage[]>;
  /** By recipe name, digest, or a beginning of its hex digits of 6 or more. Throws `IMAGE_NOT_FOUND`, and `RECIPE_INVALID` with the nearest name. */
  readonly need: (name: string) => Promise<StoredImage>;
  readonly lockOf: (image: StoredImage) => Promise<Lock>;
  readonly bomOf: (image: StoredImage) => Promise<unknown>;
  readonly manifestOf: (image: StoredImage) => Promise<string>;
  /** The lock of the last build of a recipe, kept when the image is removed. */
  readonly lastLock: (recipe: string) => Promise<Lock | undefined>;
  /** Takes over a finished build: `folder` is renamed into the store, its record written before. */
  readonly add: (folder: string, content: ImageContent) => Promise<StoredImage>;
  /** Makes an image the one that `find` gives for its recipe. */
  readonly renew: (image: StoredImage, createdAt: string) => Promise<StoredImage>;
  /** Throws `SANDBOX_WRONG_STATE` when `inUse` names a sandbox. */
  readonly remove: (image: StoredImage | DamagedImage, options: RemoveOptions) => Promise<void>;
}

export interface ImageContent {
  readonly record: ImageFile;
  readonly lock: Lock;
  readonly bom: string;
  readonly manifest: string;
}

export interface RemoveOptions {
  readonly tools: ImageTools;
  /** Names of sandboxes that were made from this image. */
  readonly inUse: (image: Pick<ImageRecord, 'digest'>) => Promise<readonly string[]>;
}

export interface StoreOptions {
  /** `paths.images` */
  readonly folder: string;
  /** what built-in recipes are made for; default: this host */
  readonly target?: RecipeTarget | undefined;
}

export function imageStore({ folder: root, target = hostTarget() }: StoreOptions): LocalImageStore {
  const files = knownFiles<Opened>();
  const openHere: Open = (folder) =>
    files.recall(
      folder,
      sealed.map((name) => join(folder, name)),
      () => openImage(folder, target),
    );
  const store: LocalImageStore = {
    async find(recipe) {
      const listing = await listImages(root, openHere);
      return isRecipeFile(recipe) ? await findOfFile(listing, recipe, target) : findIn(listing, recipe);
    },
    list: async () => (await listImages(root, openHere)).sound,
    damaged: async () => (await listImages(root, openHere)).damaged,
    async need(name) {
      const listing = await listImages(root, openHere);
      const image = findIn(listing, name) ?? listing.sound.find((each) => each.recipe === name || isDigestOf(name, each.digest));
      const fault = listing.damaged.find((each) => isDigestOf(name, each.digest));
      if (image === undefined) {
        throw fault === undefined
          ? notBuilt(
              name,
              listing.sound.map(({ recipe }) => recipe),
            )
          : corrupt(fault);
      }
      return image;
    },
    lockOf: async ({ folder }) => parseLock(await readFile(join(folder, 'lock.json'), 'utf8'), join(folder, 'lock.json')),
    bomOf: async ({ folder }) => JSON.parse(await readFile(join(folder, 'bom.json'), 'utf8')),
    manifestOf: ({ folder }) => readFile(join(folder, 'manifest'), 'latin1'),
    async lastLock(recipe) {
      const path = join(root, 'locks', `${recipe}.json`);
      const text = await readTextIfPresent(path);
      return text === undefined ? undefined : parseLock(text, path);
    },
    async add(built, content) {
      await writeContent(built, content);
      const folder = join(root, content.record.digest.replace(':', '-'));
      if ((await readdir(folder).catch(() => [])).length > 0) {
        // What has this name may have been changed since; the new one is certain. The old one goes with the next sweep.
        await rename(folder, join(root, `.build-replaced-${randomBytes(6).toString('hex')}`));
      }
      await rename(built, folder);
      await syncFolder(root);
      await keepLock(root, content.lock);
      return known(await openHere(folder), folder);
    },
    async renew(image, createdAt) {
      await writeDurably(join(image.folder, 'image.json'), sealRecord({ ...recordOf(image), createdAt }));
      await keepLock(root, await store.lockOf(image));
      return known(await openHere(image.folder), image.folder);
    },
    remove: (image, options) => removeImage(root, image, options),
  };
  return store;
}

interface Listing {
  /** newest first */
  readonly sound: readonly StoredImage[];
  readonly damaged: readonly DamagedImage[];
}

type Open = (folder: string) => Promise<Opened>;

/** A folder that is not there, or cannot be read, has no images. */
function namesIn(root: string): readonly string[] {
  try {
    return ownNames(root) ?? [];
  } catch {
    return [];
  }
}

async function listImages(root: string, openHere: Open): Promise<Listing> {
  const names = namesIn(root).filter((name) => folderName.test(name));
  const opened = await Promise.all(names.map((name) => openHere(join(root, name))));
  const images = opened.flatMap((image) => image ?? []);
  const sound = images.flatMap((image) => (isDamaged(image) ? [] : [image]));
  return { sound: sound.toSorted((a, b) => (a.createdAt < b.createdAt ? 1 : -1)), damaged: images.filter(isDamaged) };
}

/** A damaged image is not passed over for an older one of its recipe: that would be a way to bring the older one back. */
function findIn({ sound, damaged }: Listing, recipe: string): StoredImage | undefined {
  const image = sound.find((each) => each.recipe === recipe && each.current);
  const fault = damaged.find((each) => each.recipe === recipe || (image === undefined && each.recipe === undefined));
  if (fault !== undefined) {
    throw corrupt(fault);
  }
  return image;
}

/** Built from what is in the file now; its name alone could be that of another file's recipe. */
async function findOfFile(listing: Listing, path: string, target: RecipeTarget): Promise<StoredImage | undefined> {
  const chain = await findRecipe(path, target, '/');
  const digest = recipeDigest(chain);
  const sound = listing.sound.filter((each) => each.builtin || each.recipeDigest === digest);
  return findIn({ ...listing, sound }, lastOf(chain).name);
}

async function removeImage(root: string, image: StoredImage | DamagedImage, { tools, inUse }: RemoveOptions): Promise<void> {
  const users = await inUse(image);
  if (users.length > 0) {
    throw new CasemateError(
      'SANDBOX_WRONG_STATE',
      `the image ${image.recipe ?? image.digest} is used by ${users.map(visible).join(', ')}`,
      {
        hint: `Destroy first: ${users.map((name) => `casemate destroy ${visible(name)}`).join('; ')}`,
      },
    );
  }
  // First out of its name, so that an interrupted removal leaves no half image; the next build sweeps the rest.
  const leaving = join(root, `.build-removed-${image.digest.slice(7, 23)}`);
  await rename(image.folder, leaving);
  await syncFolder(root);
  await removeTrees(tools, [leaving]);
}

async function writeContent(folder: string, { record, lock, bom, manifest }: ImageContent): Promise<void> {
  await writeDurably(join(folder, 'lock.json'), `${canonicalJson(lock)}\n`);
  await writeDurably(join(folder, 'bom.json'), bom);
  await writeDurably(join(folder, 'manifest'), Buffer.from(manifest, 'latin1'));
  await writeDurably(join(folder, 'image.json'), sealRecord(record));
}

async function keepLock(root: string, lock: Lock): Promise<void> {
  await mkdir(join(root, 'locks'), { recursive: true, mode: 0o700 });
  await writeDurably(join(root, 'locks', `${lock.recipe}.json`), `${canonicalJson(lock)}\n`);
}

function recordOf({
  format,
  digest,
  recipe,
  recipeDigest: built,
  builtin,
  chain,
  createdAt,
  bytes,
  lockDigest: lock,
  bomDigest,
  mode,
}: StoredImage): ImageFile {
  return { format, digest, recipe, recipeDigest: built, builtin, chain, createdAt, bytes, lockDigest: lock, bomDigest, mode };
}

function known(image: StoredImage | DamagedImage | undefined, folder: string): StoredImage {
  if (image === undefined || isDamaged(image)) {
    throw corrupt(image ?? { digest: '', folder, recipe: undefined, fault: 'it is gone' });
  }
  return image;
}

function corrupt({ folder, digest, recipe, fault }: DamagedImage): CasemateError {
  const name = digest.slice('sha256:'.length, 'sha256:'.length + 12);
  return new CasemateError('IMAGE_CORRUPT', `the image in ${folder} cannot be trusted: ${fault}`, {
    hint: `Remove it, then build again: casemate image rm ${name} --confirm ${name}; casemate image build ${recipe ?? 'RECIPE'}`,
  });
}

/** Whether a person may have meant this digest: all of it, or 6 or more of its first hex digits. */
export function isDigestOf(text: string, digest: string): boolean {
  const hex = text.startsWith('sha256:') ? text.slice('sha256:'.length) : text;
  return /^[0-9a-f]{6,64}$/.test(hex) && digest.slice('sha256:'.length).startsWith(hex);
}

/** Why there is no image of a recipe's name, file or digest; `built` are the names that have one. */
export function notBuilt(name: string, built: readonly string[]): CasemateError {
  if (Object.hasOwn(builtinRecipes, name) || isRecipeFile(name)) {
    return new CasemateError('IMAGE_NOT_FOUND', `the image "${visible(name)}" is not built on this host`, {
      hint: `Run: casemate image build ${visible(name)}`,
    });
  }
  const near = nearest(name, [...built, ...Object.keys(builtinRecipes)]);
  return new CasemateError('RECIPE_INVALID', `there is no image "${visible(name)}"`, {
    hint: near === undefined ? 'casemate image ls lists them.' : `Did you mean ${near}?`,
  });
}
