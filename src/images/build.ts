import { randomBytes } from 'node:crypto';
import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';

import { CasemateError } from '../base/errors.ts';
import { formatBytes } from '../base/units.ts';
import { systemClock, type Clock } from '../system/clock.ts';
import type { Environment } from '../system/environment.ts';
import { isErrno, makeFolders, privateFolder } from '../system/files.ts';
import type { Paths } from '../system/paths.ts';
import { aptSession, type AptSession } from './packages/apt-session.ts';
import { billOfMaterials } from './stored/bom.ts';
import { bootstrapDebian } from './layers/bootstrap.ts';
import { lockBuilds } from './stored/build-lock.ts';
import { addRecipe } from './layers/compose.ts';
import { fetchDebs, refreshLists, resolveDebs } from './packages/debian.ts';
import { canonicalJson, lastOf, recipeDigest } from './recipes/find-recipe.ts';
import type { StoredImage } from './stored/open-image.ts';
import { imageStore, type LocalImageStore } from './stored/store.ts';
import { textDigest } from './stored/image-record.ts';
import type { Progress, Recipe, RecipeChain } from './image.ts';
import { diskFull, imageTools, requirePrograms, type ImageTools } from './tools/image-tools.ts';
import { lockDigest, type Lock } from './stored/lock.ts';
import { manifestDigest } from './tools/manifest.ts';
import { fetchNpm } from './packages/npm-packages.ts';
import { addPython } from './packages/python-packages.ts';
import { builtinRecipes, type RecipeTarget } from './recipes/recipes.ts';
import type { RunInside } from './tools/run-confined.ts';
import { failedRows, verifyRootfs } from './checks/verify.ts';

/** From a recipe to an image in the store. A build is invisible until it is whole, and may be killed at any moment. */

export interface BuildDeps {
  readonly paths: Pick<Paths, 'images' | 'cache'>;
  readonly env: Environment;
  readonly uid: number;
  readonly target: RecipeTarget;
  readonly progress: Progress;
  readonly clock?: Clock | undefined;
  readonly runInside?: RunInside | undefined;
  /** the host's apt configuration, `/etc/apt` */
  readonly etcApt?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

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

interface Build {
  readonly deps: BuildDeps;
  readonly tools: ImageTools;
  readonly store: LocalImageStore;
  readonly noCache: boolean;
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
    await tools.run('rm', ['-rf', '--one-file-system', '--', ...left.map((name) => join(images, name))]);
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

/** The recipes of `chain` from `start` on go into one layer; those before it are an image of their own, shared by hard links. */
function layerStart(chain: RecipeChain): number {
  return chain.findLastIndex((recipe) => recipe.debian !== undefined) > 0 ? 0 : chain.length - 1;
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

async function resolveLock(chain: RecipeChain, parent: StoredImage | undefined, { deps, tools, store }: Build): Promise<Lock> {
  const layer = chain.slice(layerStart(chain));
  const packages = [...new Set(layer.flatMap((recipe) => recipe.debian?.packages ?? []))].toSorted();
  const suite = chain[0].debian?.suite ?? deps.target.suite;
  if (parent === undefined) {
    deps.progress(`reading the package lists of Debian ${suite}`);
  }
  return {
    format: 1,
    recipe: lastOf(chain).name,
    recipeDigest: recipeDigest(chain),
    platform: deps.target.platform,
    suite,
    ...(parent === undefined ? {} : { from: await store.lockOf(parent) }),
    debian: parent === undefined ? await resolveDebs(await freshApt({ deps, tools, suite }), packages) : [],
    npm: layer
      .flatMap((recipe) => recipe.npm)
      .map(({ name, version, integrity, folder }) => ({ name, version, integrity, folder: folder ?? name })),
    ...pythonOf(layer),
  };
}

function pythonOf(layer: readonly Recipe[]): Pick<Lock, 'python'> {
  const python = layer.flatMap((recipe) => recipe.python ?? []);
  return python.length === 0 ? {} : { python };
}

function architectureOf(target: RecipeTarget): string {
  return target.platform === 'x64' ? 'amd64' : 'arm64';
}

async function freshApt({ deps, tools, suite }: { deps: BuildDeps; tools: ImageTools; suite: string }): Promise<AptSession> {
  const folder = join(deps.paths.cache, 'apt', suite);
  const session = await aptSession({
    suite,
    architecture: architectureOf(deps.target),
    folder,
    tools,
    etcApt: deps.etcApt,
    signal: deps.signal,
  });
  await refreshLists(session, join(folder, 'state/lists'));
  return session;
}

interface LayerInput {
  readonly lock: Lock;
  readonly parent: StoredImage | undefined;
  readonly createdAt: string;
}

async function buildLayer(chain: RecipeChain, input: LayerInput, build: Build): Promise<StoredImage> {
  const { deps, tools, store } = build;
  const folder = join(deps.paths.images, `.build-${randomBytes(6).toString('hex')}`);
  const scratch = join(folder, 'scratch');
  const rootfs = join(folder, 'rootfs');
  await mkdir(scratch, { recursive: true, mode: 0o700 });
  try {
    await fillRootfs(chain, input, { ...build, rootfs, scratch });
    await tools.run('rm', ['-rf', '--one-file-system', '--', scratch]);
    deps.progress('checking and hashing all files');
    const checks = chain.flatMap((recipe) => recipe.checks);
    const { rows, manifest, bytes } = await verifyRootfs(rootfs, {
      tools,
      checks,
      runInside: deps.runInside,
      signal: deps.signal,
    });
    refuseFailed(
      lastOf(chain).name,
      failedRows(rows).map((row) => `${row.check}: ${row.detail}`),
    );
    await tools.run('sync', ['--file-system', rootfs]);
    return await keep(folder, { chain, input, manifest, bytes, store, mode: tools.mode, progress: deps.progress });
  } catch (error) {
    await tools.run('rm', ['-rf', '--one-file-system', '--', folder], { anyExit: true }).catch(() => undefined);
    throw error;
  }
}

function refuseFailed(name: string, failures: readonly string[]): void {
  if (failures.length > 0) {
    throw new CasemateError('IMAGE_BUILD_FAILED', `the image ${name} fails its checks: ${failures.join('; ')}`, {
      hint: 'Nothing was stored. Change the recipe and build again.',
    });
  }
}

interface Filling extends Build {
  readonly rootfs: string;
  readonly scratch: string;
}

async function fillRootfs(
  chain: RecipeChain,
  { lock, parent }: LayerInput,
  { deps, tools, rootfs, scratch }: Filling,
): Promise<void> {
  const { progress } = deps;
  const npmFolder = join(deps.paths.cache, 'npm');
  if (parent === undefined) {
    const debCache = join(deps.paths.cache, 'debs');
    const { suite } = lock;
    await fetchDebs(lock.debian, { apt: () => freshApt({ deps, tools, suite }), folder: debCache, progress });
    await bootstrapDebian({
      rootfs,
      scratch,
      debs: lock.debian,
      debCache,
      suite,
      architecture: architectureOf(deps.target),
      tools,
      progress,
    });
  } else {
    progress(`adding to ${parent.recipe} (${parent.digest.slice(0, 19)})`);
    await tools.run('cp', ['--archive', '--link', '--', parent.rootfs, rootfs]);
  }
  await mkdir(npmFolder, { recursive: true, mode: 0o700 });
  const { signal, target } = deps;
  const layer = { rootfs, scratch: join(scratch, 'layer'), tools };
  for (const recipe of chain.slice(layerStart(chain))) {
    // oxlint-disable-next-line no-await-in-loop -- in order
    await addPython(recipe.python ?? [], { ...layer, target, folder: join(deps.paths.cache, 'wheels'), progress, signal });
    // oxlint-disable-next-line no-await-in-loop -- in order
    await addRecipe(recipe, layer, (npmPackage) => fetchNpm(npmPackage, { folder: npmFolder, tools, progress, signal }));
  }
}

interface Finished {
  readonly chain: RecipeChain;
  readonly input: LayerInput;
  readonly manifest: string;
  readonly bytes: number;
  readonly store: LocalImageStore;
  readonly mode: 'root' | 'user';
  readonly progress: Progress;
}

async function keep(
  folder: string,
  { chain, input: { lock, createdAt }, manifest, bytes, store, mode, progress }: Finished,
): Promise<StoredImage> {
  const digest = manifestDigest(manifest);
  const { name } = lastOf(chain);
  const bom = `${canonicalJson(billOfMaterials(lock, digest))}\n`;
  const builtin = Object.hasOwn(builtinRecipes, name);
  const image = await store.add(folder, {
    record: {
      format: 1,
      digest,
      recipe: name,
      recipeDigest: lock.recipeDigest,
      builtin,
      chain: [...chain],
      createdAt,
      bytes,
      lockDigest: lockDigest(lock),
      bomDigest: textDigest(bom),
      mode,
    },
    lock,
    bom,
    manifest,
  });
  progress(`${name} is ready: ${digest.slice(0, 19)}, ${formatBytes(bytes)}`);
  return image;
}
