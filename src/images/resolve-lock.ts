import type { Build } from './build-facts.ts';
import type { Recipe, RecipeChain } from './image.ts';
import { resolveDebs } from './packages/debian.ts';
import { freshApt } from './packages/fresh-apt.ts';
import { lastOf, recipeDigest } from './recipes/find-recipe.ts';
import type { Lock } from './stored/lock.ts';
import type { StoredImage } from './stored/open-image.ts';

/** The recipes of a chain from here on go into one layer; those before it are an image of their own, shared by hard links. */
export function layerStart(chain: RecipeChain): number {
  return chain.findLastIndex((recipe) => recipe.debian !== undefined) > 0 ? 0 : chain.length - 1;
}

/** Every package that the layer takes, by version and hash. `parent`: what it is added to. */
export async function resolveLock(
  chain: RecipeChain,
  parent: StoredImage | undefined,
  { deps, tools, store }: Build,
): Promise<Lock> {
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
