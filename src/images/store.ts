import { mkdir, readdir, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';

import { CasemateError } from '../base/errors.ts';
import { nearest, visible } from '../base/text.ts';
import { readTextIfPresent, syncFolder, writeDurably } from '../system/files.ts';
import { builtinChain, hostTarget, recipeDigest } from './find-recipe.ts';
import { openRecord, sealRecord, textDigest, type ImageFile } from './image-record.ts';
import type { ImageRecord, ImageStore } from './image.ts';
import type { ImageTools } from './image-tools.ts';
import { lockDigest, parseLock, type Lock } from './lock.ts';
import { builtinRecipes, type RecipeTarget } from './recipes.ts';

/** Images on disk: one folder for each digest, named by it, complete from the moment it has its name. */

export interface StoredImage extends ImageRecord, Omit<ImageFile, 'digest' | 'recipe' | 'createdAt' | 'bytes' | 'lockDigest'> {
  readonly folder: string;
  /** built from the recipe as it is now; `false`: the recipe has changed since */
  readonly current: boolean;
}

export interface LocalImageStore extends ImageStore {
  readonly find: (recipe: string) => Promise<StoredImage | undefined>;
  /** newest first. Throws `IMAGE_CORRUPT` */
  readonly list: () => Promise<readonly StoredImage[]>;
  /** By recipe name, digest, or a beginning of its hex digits of 6 or more. Throws `IMAGE_NOT_FOUND` with the nearest name. */
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
  readonly remove: (image: StoredImage, options: RemoveOptions) => Promise<void>;
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
  readonly inUse: (image: ImageRecord) => Promise<readonly string[]>;
}

export interface StoreOptions {
  /** `paths.images` */
  readonly folder: string;
  /** what built-in recipes are made for; default: this host */
  readonly target?: RecipeTarget | undefined;
}

const folderName = /^sha256-([0-9a-f]{64})$/;

export function imageStore({ folder: root, target = hostTarget() }: StoreOptions): LocalImageStore {
  const openHere = (folder: string): Promise<StoredImage | undefined> => open(folder, target);
  const store: LocalImageStore = {
    async find(recipe) {
      return (await store.list()).find((image) => image.recipe === recipe && image.current);
    },
    async list() {
      const names = await readdir(root).catch(() => []);
      const images = await Promise.all(names.filter((name) => folderName.test(name)).map((name) => openHere(join(root, name))));
      return images.flatMap((image) => image ?? []).toSorted((a, b) => (a.createdAt < b.createdAt ? 1 : -1));
    },
    async need(name) {
      const images = await store.list();
      const image = (await store.find(name)) ?? images.find((each) => each.recipe === name || isDigestOf(name, each.digest));
      if (image === undefined) {
        throw notBuilt(name, images);
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
      if ((await readdir(folder).catch(() => [])).length === 0) {
        await rename(built, folder);
        await syncFolder(root);
      } else {
        // The same bytes are there already, perhaps from a recipe that has changed in what it checks.
        await writeContent(folder, content);
      }
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

async function removeImage(root: string, image: StoredImage, { tools, inUse }: RemoveOptions): Promise<void> {
  const users = await inUse(image);
  if (users.length > 0) {
    throw new CasemateError('SANDBOX_WRONG_STATE', `the image ${image.recipe} is used by ${users.map(visible).join(', ')}`, {
      hint: `Destroy first: ${users.map((name) => `casemate destroy ${visible(name)}`).join('; ')}`,
    });
  }
  // First out of its name, so that an interrupted removal leaves no half image; the next build sweeps the rest.
  const leaving = join(root, `.build-removed-${image.digest.slice(7, 23)}`);
  await rename(image.folder, leaving);
  await syncFolder(root);
  await tools.run('rm', ['-rf', '--one-file-system', '--', leaving]);
}

async function writeContent(folder: string, { record, lock, bom, manifest }: ImageContent): Promise<void> {
  await writeDurably(join(folder, 'lock.json'), `${JSON.stringify(lock, undefined, 2)}\n`);
  await writeDurably(join(folder, 'bom.json'), bom);
  await writeDurably(join(folder, 'manifest'), Buffer.from(manifest, 'latin1'));
  await writeDurably(join(folder, 'image.json'), sealRecord(record));
}

async function keepLock(root: string, lock: Lock): Promise<void> {
  await mkdir(join(root, 'locks'), { recursive: true, mode: 0o700 });
  await writeDurably(join(root, 'locks', `${lock.recipe}.json`), `${JSON.stringify(lock, undefined, 2)}\n`);
}

/** `undefined` when the folder was removed meanwhile. */
async function open(folder: string, target: RecipeTarget): Promise<StoredImage | undefined> {
  const [text, lockText, bomText] = await Promise.all(['image.json', 'lock.json', 'bom.json'].map((name) => readTextIfPresent(join(folder, name))));
  if (text === undefined && lockText === undefined && bomText === undefined) {
    return undefined;
  }
  const record = text === undefined ? undefined : openRecord(text);
  const hex = folderName.exec(folder.slice(folder.lastIndexOf('/') + 1))?.[1];
  if (record === undefined || lockText === undefined || bomText === undefined || record.digest !== `sha256:${hex}`) {
    throw corrupt(folder, 'its record was changed');
  }
  if (lockDigest(parseLock(lockText, join(folder, 'lock.json'))) !== record.lockDigest || textDigest(bomText) !== record.bomDigest) {
    throw corrupt(folder, 'its lock or its bill of materials was changed');
  }
  return { ...record, folder, rootfs: join(folder, 'rootfs'), current: isCurrent(record, target) };
}

function isCurrent({ builtin, recipe, recipeDigest: built }: ImageFile, target: RecipeTarget): boolean {
  // A recipe file is not kept by us; its image stays the one of its name until it is built again.
  return !builtin || (Object.hasOwn(builtinRecipes, recipe) && recipeDigest(builtinChain(recipe, target)) === built);
}

function recordOf({ format, digest, recipe, recipeDigest: built, builtin, chain, createdAt, bytes, lockDigest: lock, bomDigest, mode }: StoredImage): ImageFile {
  return { format, digest, recipe, recipeDigest: built, builtin, chain, createdAt, bytes, lockDigest: lock, bomDigest, mode };
}

function known(image: StoredImage | undefined, folder: string): StoredImage {
  if (image === undefined) {
    throw corrupt(folder, 'it is gone');
  }
  return image;
}

function corrupt(folder: string, what: string): CasemateError {
  return new CasemateError('IMAGE_CORRUPT', `the image in ${folder} cannot be trusted: ${what}`, {
    hint: 'Remove this folder and build the image again.',
  });
}

function isDigestOf(text: string, digest: string): boolean {
  const hex = text.startsWith('sha256:') ? text.slice('sha256:'.length) : text;
  return /^[0-9a-f]{6,64}$/.test(hex) && digest.slice('sha256:'.length).startsWith(hex);
}

function notBuilt(name: string, images: readonly StoredImage[]): CasemateError {
  if (Object.hasOwn(builtinRecipes, name)) {
    return new CasemateError('IMAGE_NOT_FOUND', `the image ${name} is not built on this host`, { hint: `Run: casemate image build ${name}` });
  }
  const near = nearest(name, [...images.map((image) => image.recipe), ...Object.keys(builtinRecipes)]);
  return new CasemateError('IMAGE_NOT_FOUND', `there is no image "${visible(name)}"`, {
    hint: near === undefined ? 'casemate image ls lists them.' : `Did you mean ${near}?`,
  });
}
