import { readdir } from 'node:fs/promises';
import { join } from 'node:path';

import { CasemateError } from '../base/errors.ts';
import { systemClock } from '../system/clock.ts';
import { isErrno, makeFolders, privateFolder } from '../system/files.ts';
import type { Build, BuildDeps } from './build-facts.ts';
import { buildLayer } from './build-layer.ts';
import { lockBuilds } from './stored/build-lock.ts';
import { lastOf, recipeDigest } from './recipes/find-recipe.ts';
import type { StoredImage } from './stored/open-image.ts';
import { imageStore, type LocalImageStore } from './stored/store.ts';
import type { Progress, RecipeChain } from './image.ts';
import { diskFull, imageTools, requirePrograms, type ImageTools } from './tools/image-tools.ts';
import { lockDigest, type Lock } from './stored/lock.ts';
import { layerStart, resolveLock } from './resolve-lock.ts';
import { removeTrees } from './tools/remove-trees.ts';

/** From a recipe to an image in the store. A build is invisible until it is whole, and may be killed at any moment. */

export interface BuildOptions {
  /** exactly the versions of the recipe's last lock */
  readonly locked?: boolean | undefined;
  /** build every part again, even where an image of the same lock exists */
  readonly noCache?: boolean | undefined;
}

/** Throws `IMAGE_BUILD_FAILED`, `TOOL_MISSING`, `RECIPE_INVALID` (an unknown package). */
export async function buildImage(chain: RecipeChain, deps: BuildDeps, options: BuildOptions = {}): Promise<StoredImage> {
  const tools = imageTools({ uid: deps.uid, env: deps.env, signal: deps.signal });
  await requirePrograms(programsFor(chain, tools), tools.env);
  // Ids that are missing are told of before anything is downloaded.
  await tools.run('true', []);
  await privateFolder(deps.paths.images);
  makeFolders(deps.paths.cache);
  const unlock = await lockBuilds(deps.paths.images, { env: tools.env, progress: deps.progress, signal: deps.signal });
  try {
    await sweep(deps.paths.images, tools, deps.progress);
    const store = imageStore({ folder: deps.paths.images, target: deps.target });
    const lock = options.locked === true ? await neededLock(chain, store) : undefined;
    return await buildChain(chain, lock, { deps, tools, store, noCache: options.noCache ?? false });
  } catch (error) {
    throw isErrno(error, 'ENOSPC') || isErrno(error, 'EDQUOT') ? diskFull(error) : error;
  } finally {
    await unlock();
  }
}

function programsFor(chain: RecipeChain, { mode }: ImageTools): readonly string[] {
  const always = [
    'mmdebstrap',
    'apt-get',
    'apt-cache',
    'dpkg-deb',
    'unshare',
    'setpriv',
    'nsenter',
    'flock',
    'tar',
    'find',
    'xargs',
  ];
  return [
    ...always,
    ...(mode === 'user' ? ['newuidmap'] : []),
    ...(chain.some((recipe) => recipe.npm.length > 0) ? ['npm'] : []),
    ...(chain.some((recipe) => recipe.python !== undefined) ? ['pip3'] : []),
  ];
}

/** What killed builds and removals left. We hold the lock, so none of it is in use. */
async function sweep(images: string, tools: ImageTools, progress: Progress): Promise<void> {
  const left = (await readdir(images)).filter((name) => name.startsWith('.build-'));
  if (left.length > 0) {
    progress('removing what an interrupted build left');
    await removeTrees(
      tools,
      left.map((name) => join(images, name)),
    );
  }
}

async function neededLock(chain: RecipeChain, store: LocalImageStore): Promise<Lock> {
  const { name } = lastOf(chain);
  const lock = await store.lastLock(name);
  if (lock === undefined) {
    throw new CasemateError('IMAGE_NOT_FOUND', `there is no lock of "${name}" yet`, {
      hint: `Build once without --locked: casemate image build ${name}`,
    });
  }
  if (lock.recipeDigest !== recipeDigest(chain)) {
    throw new CasemateError('IMAGE_BUILD_FAILED', `the recipe "${name}" has changed since its lock was written`, {
      hint: 'Build without --locked.',
    });
  }
  return lock;
}

async function buildChain(chain: RecipeChain, given: Lock | undefined, build: Build): Promise<StoredImage> {
  const { deps, store, noCache } = build;
  const parent = layerStart(chain) === 0 ? undefined : await parentImage(chain, given?.from, build);
  const lock = given ?? (await resolveLock(chain, parent, build));
  const present = (await store.list()).find((image) => image.lockDigest === lockDigest(lock) && image.mode === build.tools.mode);
  const createdAt = new Date((deps.clock ?? systemClock).nowMs()).toISOString();
  if (present !== undefined && !noCache) {
    deps.progress(`${present.recipe} is up to date (${present.digest.slice(0, 19)})`);
    return store.renew(present, createdAt);
  }
  return buildLayer(chain, { lock, parent, createdAt }, build);
}

async function parentImage(chain: RecipeChain, lock: Lock | undefined, build: Build): Promise<StoredImage> {
  const [first, ...rest] = chain.slice(0, -1);
  if (first === undefined) {
    throw new CasemateError('INTERNAL', 'a recipe without a start');
  }
  const parentChain: RecipeChain = [first, ...rest];
  if (lock === undefined && !build.noCache) {
    const present = await build.store.find(lastOf(parentChain).name);
    if (present !== undefined && present.mode === build.tools.mode) {
      return present;
    }
  }
  return buildChain(parentChain, lock, build);
}
