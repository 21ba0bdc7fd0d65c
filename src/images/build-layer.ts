import { randomBytes } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';

import { CasemateError } from '../base/errors.ts';
import { formatBytes } from '../base/units.ts';
import type { Build } from './build-facts.ts';
import { failedRows, verifyRootfs } from './checks/verify.ts';
import type { Progress, RecipeChain } from './image.ts';
import { bootstrapDebian } from './layers/bootstrap.ts';
import { addRecipe } from './layers/compose.ts';
import { fetchDebs } from './packages/debian.ts';
import { architectureOf, freshApt } from './packages/fresh-apt.ts';
import { fetchNpm } from './packages/npm-packages.ts';
import { addPython } from './packages/python-packages.ts';
import { canonicalJson, lastOf } from './recipes/find-recipe.ts';
import { builtinRecipes } from './recipes/recipes.ts';
import { layerStart } from './resolve-lock.ts';
import { billOfMaterials } from './stored/bom.ts';
import { textDigest } from './stored/image-record.ts';
import { lockDigest, type Lock } from './stored/lock.ts';
import type { StoredImage } from './stored/open-image.ts';
import type { LocalImageStore } from './stored/store.ts';
import { manifestDigest } from './tools/manifest.ts';
import { removeTrees } from './tools/remove-trees.ts';

/** Makes a layer in a folder of its own, checks it, and hands it to the store. */

export interface LayerInput {
  readonly lock: Lock;
  readonly parent: StoredImage | undefined;
  readonly createdAt: string;
}

export async function buildLayer(chain: RecipeChain, input: LayerInput, build: Build): Promise<StoredImage> {
  const { deps, tools, store } = build;
  const folder = join(deps.paths.images, `.build-${randomBytes(6).toString('hex')}`);
  const scratch = join(folder, 'scratch');
  const rootfs = join(folder, 'rootfs');
  await mkdir(scratch, { recursive: true, mode: 0o700 });
  try {
    await fillRootfs(chain, input, { ...build, rootfs, scratch });
    await removeTrees(tools, [scratch]);
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
    await removeTrees(tools, [folder]).catch(() => undefined);
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

async function fillRootfs(chain: RecipeChain, { lock, parent }: LayerInput, filling: Filling): Promise<void> {
  const { deps, tools, rootfs, scratch } = filling;
  const { progress, signal, target } = deps;
  if (parent === undefined) {
    await fillWithDebian(lock, filling);
  } else {
    progress(`adding to ${parent.recipe} (${parent.digest.slice(0, 19)})`);
    await tools.run('cp', ['--archive', '--link', '--', parent.rootfs, rootfs]);
  }
  const npmFolder = join(deps.paths.cache, 'npm');
  await mkdir(npmFolder, { recursive: true, mode: 0o700 });
  const layer = { rootfs, scratch: join(scratch, 'layer'), tools };
  for (const recipe of chain.slice(layerStart(chain))) {
    // oxlint-disable-next-line no-await-in-loop -- in order
    await addPython(recipe.python ?? [], { ...layer, target, folder: join(deps.paths.cache, 'wheels'), progress, signal });
    // oxlint-disable-next-line no-await-in-loop -- in order
    await addRecipe(recipe, layer, (npmPackage) => fetchNpm(npmPackage, { folder: npmFolder, tools, progress, signal }));
  }
}

async function fillWithDebian({ debian, suite }: Lock, { deps, tools, rootfs, scratch }: Filling): Promise<void> {
  const { progress, target } = deps;
  const debCache = join(deps.paths.cache, 'debs');
  await fetchDebs(debian, { apt: () => freshApt({ deps, tools, suite }), folder: debCache, progress });
  const architecture = architectureOf(target);
  await bootstrapDebian({ rootfs, scratch, debs: debian, debCache, suite, architecture, tools, progress });
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
