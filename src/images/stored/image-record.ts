import { createHash } from 'node:crypto';

import { z } from 'zod';

import { canonicalJson } from '../recipes/find-recipe.ts';
import type { Recipe } from '../image.ts';

/** `image.json`: what is known of one image. A seal over all of it shows a changed or half-written one. */

const digest = z.string().regex(/^sha256:[0-9a-f]{64}$/);

const recipeShape: z.ZodType<Recipe> = z
  .strictObject({
    name: z.string(),
    from: z.string().optional(),
    debian: z.strictObject({ suite: z.string(), packages: z.array(z.string()) }).optional(),
    npm: z.array(z.strictObject({ name: z.string(), version: z.string(), integrity: z.string(), folder: z.string().optional() })),
    python: z.array(z.strictObject({ name: z.string(), version: z.string(), sha256: z.string() })).optional(),
    files: z.array(z.strictObject({ path: z.string(), content: z.string(), mode: z.number() })),
    bin: z.record(z.string(), z.string()),
    checks: z.array(z.strictObject({ command: z.array(z.string()), contains: z.string() })),
  })
  .transform((recipe): Recipe => ({ ...recipe, from: recipe.from, debian: recipe.debian }));

const recordShape = z.strictObject({
  format: z.literal(1),
  digest,
  recipe: z.string().regex(/^[a-z0-9-]{1,40}$/),
  recipeDigest: digest,
  /** false: from a recipe file, kept in `chain` */
  builtin: z.boolean(),
  chain: z.array(recipeShape).min(1),
  createdAt: z.iso.datetime(),
  /** sum of all file sizes */
  bytes: z.int().nonnegative(),
  lockDigest: digest,
  bomDigest: digest,
  /** whose ids stand on disk */
  mode: z.enum(['root', 'user']),
});

export type ImageFile = Readonly<z.infer<typeof recordShape>>;

export function sealRecord(record: ImageFile): string {
  return `${JSON.stringify({ ...record, seal: sealOf(record) }, undefined, 2)}\n`;
}

/** `undefined` for anything that `sealRecord` did not write. */
export function openRecord(text: string): ImageFile | undefined {
  try {
    const parsed = z.looseObject({ seal: digest }).parse(JSON.parse(text));
    const { seal, ...rest } = parsed;
    const record = recordShape.parse(rest);
    return sealOf(record) === seal ? record : undefined;
  } catch {
    return undefined;
  }
}

function sealOf(record: ImageFile): string {
  return textDigest(canonicalJson(record));
}

export function textDigest(text: string): string {
  return `sha256:${createHash('sha256').update(text).digest('hex')}`;
}
