import { createHash } from 'node:crypto';
import { constants, readFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { resolve } from 'node:path';

import canonicalize from 'canonicalize';

import { CasemateError } from '../../base/errors.ts';
import { nearest, visible } from '../../base/text.ts';
import type { Recipe, RecipeChain } from '../image.ts';
import { builtinRecipes, type RecipeTarget } from './recipes.ts';

/** Resolves what a person writes (a name or a file) to a recipe with everything it builds on. */

/** Changes when the same recipe would be built to other bytes by a newer version of this program. */
const buildFormat = 2;

/** Debian of the host's own release when the host is Debian, else bookworm; `platform` is this process's. */
export function hostTarget(osRelease: string = readOsRelease(), architecture: string = process.arch): RecipeTarget {
  if (architecture !== 'x64' && architecture !== 'arm64') {
    throw new CasemateError('IMAGE_BUILD_FAILED', `images can be built on x64 and arm64; this is ${architecture}`);
  }
  const field = (name: string): string | undefined => new RegExp(`^${name}="?([a-z]+)"?$`, 'm').exec(osRelease)?.[1];
  const suite = field('ID') === 'debian' ? field('VERSION_CODENAME') : undefined;
  return { platform: architecture, suite: suite ?? 'bookworm' };
}

/** `os-release(5)`; nothing on a host that has none. */
function readOsRelease(): string {
  try {
    return readFileSync('/etc/os-release', 'utf8');
  } catch {
    return '';
  }
}

/** A file is meant where the text has a slash or ends in `.yaml` or `.yml`. */
export function isRecipeFile(text: string): boolean {
  return text.includes('/') || /\.ya?ml$/.test(text);
}

/** Throws `RECIPE_INVALID` for a name that is not built in, and with `PATH_INVALID` for a file. */
export async function findRecipe(text: string, target: RecipeTarget, cwd: string): Promise<RecipeChain> {
  if (!isRecipeFile(text)) {
    return builtinChain(text, target);
  }
  const path = resolve(cwd, text);
  const source = await readSource(path).catch((cause: unknown) => {
    throw new CasemateError('PATH_INVALID', `cannot read the recipe ${visible(text)}`, {
      cause,
      hint: 'Give the path of a recipe file.',
    });
  });
  const { parseRecipe } = await import('./parse-recipe.ts');
  return chainOf(parseRecipe(source, { file: text, target }), target);
}

const maxSourceBytes = 4 * 1024 * 1024;

/** It may come with a project: no pipe is waited for, and nothing endless is read. */
async function readSource(path: string): Promise<string> {
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const stats = await file.stat();
    if (!stats.isFile() || stats.size > maxSourceBytes) {
      throw new RangeError(`${path} is not a regular file of at most ${maxSourceBytes} bytes`);
    }
    const buffer = Buffer.alloc(stats.size);
    const { bytesRead } = await file.read(buffer, 0, buffer.length, 0);
    return buffer.toString('utf8', 0, bytesRead);
  } finally {
    await file.close();
  }
}

export function builtinChain(name: string, target: RecipeTarget): RecipeChain {
  const make = Object.hasOwn(builtinRecipes, name) ? builtinRecipes[name] : undefined;
  if (make === undefined) {
    throw unknownRecipe(name, Object.keys(builtinRecipes));
  }
  return chainOf(make(target), target);
}

function unknownRecipe(name: string, known: readonly string[]): CasemateError {
  const near = nearest(name, known);
  return new CasemateError('RECIPE_INVALID', `there is no image recipe "${visible(name)}"`, {
    hint: near === undefined ? `Known here: ${known.join(', ')}; or give the path of a recipe file.` : `Did you mean ${near}?`,
  });
}

function chainOf(recipe: Recipe, target: RecipeTarget): RecipeChain {
  return recipe.from === undefined ? [recipe] : [...builtinChain(recipe.from, target), recipe];
}

/** The recipe a chain is for. */
export function lastOf(chain: RecipeChain): Recipe {
  return chain.at(-1) ?? chain[0];
}

/** `sha256:<hex>` of a chain's content: another digest, another image. */
export function recipeDigest(chain: RecipeChain): string {
  return `sha256:${createHash('sha256').update(canonicalJson({ buildFormat, chain })).digest('hex')}`;
}

/** RFC 8785. */
export function canonicalJson(value: unknown): string {
  const text = canonicalize(value);
  if (text === undefined) {
    throw new CasemateError('INTERNAL', 'a value has no canonical JSON');
  }
  return text;
}
