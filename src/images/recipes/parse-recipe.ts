import { LineCounter, isMap, isNode, isScalar, parseDocument, type Document } from 'yaml';
import { z } from 'zod';

import { CasemateError } from '../../base/errors.ts';
import { nearest, visible } from '../../base/text.ts';
import type { Recipe } from '../image.ts';
import { builtinRecipes, type RecipeTarget } from './recipes.ts';

/** Reads a recipe file: strict, and every fault with its place. */

// No name may look like an option or, to apt, like a removal (trailing `-`) or a pattern.
const debianPackage = z.string().regex(/^[a-z0-9][a-z0-9+.-]*[a-z0-9+]$/, 'is not the name of a Debian package');
const npmName = /^(?:@[a-z0-9][a-z0-9._-]*\/)?[a-z0-9][a-z0-9._-]*$/;
// Below these, or over them, nothing is mounted and no program of the host keeps state.
const place = z
  .string()
  .regex(/^\/(?:etc|opt|srv|usr)\/[A-Za-z0-9@._+/-]+$/, 'must be an absolute path below /etc, /opt, /srv or /usr')
  .refine(
    (path) =>
      path
        .split('/')
        .slice(1)
        .every((part) => part !== '' && part !== '.' && part !== '..'),
    'must be a plain path without . or ..',
  );

const npmPackage = z.strictObject({
  name: z.string().max(214).regex(npmName, 'is not the name of an npm package'),
  version: z.string().regex(/^\d+\.\d+\.\d+[0-9A-Za-z.+-]*$/, 'must be one exact version such as 1.2.3'),
  integrity: z
    .string()
    .regex(/^sha512-[A-Za-z0-9+/]{86}==$/, 'must be the sha512 of the tarball: npm view NAME@VERSION dist.integrity'),
  folder: z.string().max(214).regex(npmName, 'is not a folder below node_modules').optional(),
});

const pythonPackage = z.strictObject({
  name: z
    .string()
    .max(214)
    .regex(/^[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?$/, 'is not the name of a Python package'),
  version: z.string().regex(/^\d+(?:\.\d+)*[0-9A-Za-z.+!]*$/, 'must be one exact version such as 1.2.3'),
  sha256: z.string().regex(/^[0-9a-f]{64}$/, 'must be the SHA-256 of the wheel: pip hash FILE'),
});

const file = z.strictObject({
  path: place,
  content: z.string().max(1024 * 1024),
  mode: z
    .string()
    .regex(/^0[0-7]{3}$/, 'must be written as "0644"')
    .transform((text) => Number.parseInt(text, 8))
    .default(0o644),
});

const recipeSchema = z.strictObject({
  name: z.string().regex(/^[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?$/, 'must be 1 to 40 lower-case letters, digits and hyphens'),
  from: z.string().optional(),
  debian: z
    .strictObject({
      suite: z
        .string()
        .regex(/^[a-z]+$/, 'must be a code name such as bookworm')
        .optional(),
      packages: z.array(debianPackage).max(500),
    })
    .optional(),
  npm: z.array(npmPackage).max(100).default([]),
  python: z.array(pythonPackage).max(500).optional(),
  files: z.array(file).max(100).default([]),
  bin: z.record(z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._+-]*$/, 'is not the name of a program'), place).default({}),
  checks: z
    .array(z.strictObject({ command: z.array(z.string().min(1)).min(1), contains: z.string() }))
    .max(50)
    .default([]),
});

const knownKeys: Readonly<Record<string, readonly string[]>> = {
  '': Object.keys(recipeSchema.shape),
  debian: ['suite', 'packages'],
  npm: Object.keys(npmPackage.shape),
  python: Object.keys(pythonPackage.shape),
  files: Object.keys(file.shape),
  checks: ['command', 'contains'],
};

export interface RecipeOrigin {
  /** as the person wrote it, for messages */
  readonly file: string;
  readonly target: RecipeTarget;
}

/** Throws `RECIPE_INVALID` with `file:line:column`. */
export function parseRecipe(text: string, { file: name, target }: RecipeOrigin): Recipe {
  const counter = new LineCounter();
  const document = parseDocument(text, { lineCounter: counter, uniqueKeys: true });
  const at = (offset: number): string => `${visible(name)}:${counter.linePos(offset).line}:${counter.linePos(offset).col}`;
  const [fault] = document.errors;
  if (fault !== undefined) {
    throw invalid(at(fault.pos[0]), fault.message.split('\n')[0] ?? 'is not YAML');
  }
  const parsed = recipeSchema.safeParse(plainValue(document, at(0)));
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw issue === undefined ? invalid(at(0), 'is not a recipe') : faultOf(issue, document, at);
  }
  return completeRecipe(parsed.data, { target, at: (path) => at(offsetOf(document, path)) });
}

/** An alias without an anchor, or too many of them, is only found here. */
function plainValue(document: Document, where: string): unknown {
  try {
    return document.toJS({ maxAliasCount: 100 });
  } catch (error) {
    throw invalid(where, error instanceof Error ? visible(error.message) : 'is not YAML');
  }
}

type WrittenRecipe = z.infer<typeof recipeSchema>;

function completeRecipe(
  written: WrittenRecipe,
  { target, at }: { target: RecipeTarget; at: (path: PropertyKey[]) => string },
): Recipe {
  const { from, debian } = written;
  if (Object.hasOwn(builtinRecipes, written.name)) {
    throw invalid(at(['name']), `"${written.name}" is the name of a built-in recipe`);
  }
  if (from !== undefined && !Object.hasOwn(builtinRecipes, from)) {
    throw invalid(
      at(['from']),
      `there is no recipe "${visible(from)}" to start from`,
      hintFor(from, Object.keys(builtinRecipes)),
    );
  }
  if (from === undefined && debian === undefined) {
    throw invalid(at([]), 'either "from" or "debian" is needed', 'Write "from: base" to add to the base image.');
  }
  if (from !== undefined && debian?.suite !== undefined && debian.suite !== target.suite) {
    throw invalid(at(['debian', 'suite']), `"${from}" is built from ${target.suite}, not ${debian.suite}`, 'Leave "suite" out.');
  }
  return {
    ...written,
    from,
    debian: debian === undefined ? undefined : { suite: debian.suite ?? target.suite, packages: debian.packages },
  };
}

function faultOf(issue: z.core.$ZodIssue, document: Document, at: (offset: number) => string): CasemateError {
  const where = issue.path.join('.');
  if (issue.code === 'unrecognized_keys') {
    const [key = ''] = issue.keys;
    const known = knownKeys[String(issue.path[0] ?? '')] ?? [];
    return invalid(at(keyOffset(document, issue.path, key)), `unknown key "${visible(key)}"`, hintFor(key, known));
  }
  const what = issue.code === 'invalid_key' ? (issue.issues[0]?.message ?? issue.message) : issue.message;
  return invalid(at(offsetOf(document, issue.path)), where === '' ? what : `"${visible(where)}" ${what}`);
}

function hintFor(word: string, known: readonly string[]): string {
  const near = nearest(word, known);
  return near === undefined ? `Known here: ${known.join(', ')}.` : `Did you mean "${near}"?`;
}

function offsetOf(document: Document, path: readonly PropertyKey[]): number {
  for (let length = path.length; length >= 0; length -= 1) {
    const node = length === 0 ? document.contents : document.getIn(path.slice(0, length), true);
    if (isNode(node) && node.range) {
      return node.range[0];
    }
  }
  return 0;
}

function keyOffset(document: Document, path: readonly PropertyKey[], key: string): number {
  const map = path.length === 0 ? document.contents : document.getIn(path, true);
  const pair = isMap(map) ? map.items.find((item) => isScalar(item.key) && item.key.value === key) : undefined;
  return isScalar(pair?.key) && pair.key.range ? pair.key.range[0] : offsetOf(document, path);
}

function invalid(where: string, what: string, hint?: string): CasemateError {
  return new CasemateError('RECIPE_INVALID', `${where}: ${what}`, { hint });
}
