import { createHash } from 'node:crypto';

import { z } from 'zod';

import { CasemateError } from '../../base/errors.ts';
import { canonicalJson } from '../recipes/find-recipe.ts';

/**
 * The lock: every input of an image by name, version and hash. It names no address: where things come from is up to the host.
 */

const sha256 = z.string().regex(/^[0-9a-f]{64}$/);

const lockedDeb = z.strictObject({
  name: z.string().regex(/^[a-z0-9][a-z0-9+.-]+$/),
  version: z.string().regex(/^[0-9A-Za-z.+:~-]+$/),
  architecture: z.string().regex(/^[a-z0-9]+$/),
  sha256,
  /** bytes of the `.deb` */
  size: z.int().nonnegative(),
});

const lockedNpm = z.strictObject({
  name: z.string(),
  version: z.string(),
  integrity: z.string().regex(/^sha512-[A-Za-z0-9+/]{86}==$/),
  folder: z.string(),
});

const lockedPython = z.strictObject({ name: z.string(), version: z.string(), sha256 });

const lockShape = z.strictObject({
  format: z.literal(1),
  recipe: z.string(),
  /** digest of the recipe's content, see `recipeDigest` */
  recipeDigest: z.string().regex(/^sha256:[0-9a-f]{64}$/),
  platform: z.enum(['x64', 'arm64']),
  suite: z.string(),
  /** lock of the image this one adds to */
  get from(): z.ZodOptional<typeof lockShape> {
    return lockShape.optional();
  },
  debian: z.array(lockedDeb),
  npm: z.array(lockedNpm),
  /** absent where there are none */
  python: z.array(lockedPython).optional(),
});

export type LockedDeb = Readonly<z.infer<typeof lockedDeb>>;
export type LockedNpm = Readonly<z.infer<typeof lockedNpm>>;
export type LockedPython = Readonly<z.infer<typeof lockedPython>>;
export interface Lock {
  readonly format: 1;
  readonly recipe: string;
  readonly recipeDigest: string;
  readonly platform: 'x64' | 'arm64';
  readonly suite: string;
  readonly from?: Lock | undefined;
  readonly debian: readonly LockedDeb[];
  readonly npm: readonly LockedNpm[];
  readonly python?: readonly LockedPython[] | undefined;
}

/** Throws `IMAGE_CORRUPT`; `where` is named in the message. */
export function parseLock(text: string, where: string): Lock {
  try {
    return lockShape.parse(JSON.parse(text));
  } catch (cause) {
    throw new CasemateError('IMAGE_CORRUPT', `the lock ${where} is malformed`, {
      cause,
      hint: 'Build the image again without --locked.',
    });
  }
}

export function lockDigest(lock: Lock): string {
  return `sha256:${createHash('sha256').update(canonicalJson(lock)).digest('hex')}`;
}

/** All Debian packages of an image, those of the images below it first. */
export function allDebs(lock: Lock): readonly LockedDeb[] {
  return [...(lock.from === undefined ? [] : allDebs(lock.from)), ...lock.debian];
}

export function allNpm(lock: Lock): readonly LockedNpm[] {
  return [...(lock.from === undefined ? [] : allNpm(lock.from)), ...lock.npm];
}

export function allPython(lock: Lock): readonly LockedPython[] {
  return [...(lock.from === undefined ? [] : allPython(lock.from)), ...(lock.python ?? [])];
}
