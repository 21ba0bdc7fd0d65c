import type { BuildDeps } from './build-facts.ts';
import { builtinChain } from './recipes/find-recipe.ts';
import { buildImage } from './build.ts';
import type { StoredImage } from './stored/open-image.ts';
import { imageStore } from './stored/store.ts';

/**
 * The image of a recipe, built now if there is none of its present content. Throws what `buildImage` throws, and
 * `RECIPE_INVALID` for a recipe that is neither built in nor built from a file before.
 */
export async function ensureImage(recipe: string, deps: BuildDeps): Promise<StoredImage> {
  const store = imageStore({ folder: deps.paths.images, target: deps.target });
  const present = await store.find(recipe);
  if (present !== undefined) {
    return present;
  }
  const chain = builtinChain(recipe, deps.target);
  const old = (await store.list()).find((image) => image.recipe === recipe);
  deps.progress(
    old === undefined
      ? `building the image ${recipe}`
      : `building the image ${recipe}: its recipe has changed since ${old.createdAt}`,
  );
  return buildImage(chain, deps);
}
