import { z } from 'zod';

import { formatBytes, parseBytes, parseDurationMs } from '../../base/units.ts';

/** Values that several keys of `casemate.yaml` share, and how to refuse one in its own words. */

/** Issues with this parameter carry their own wording. */
export function refuseValue(ctx: z.RefinementCtx, input: unknown, message: string): never {
  ctx.addIssue({ code: 'custom', message, input });
  return z.NEVER;
}

/** A size of `least` bytes or more. */
export const byteSizeFrom = (least: number) =>
  z.union([z.string(), z.number()]).transform((value, ctx) => {
    const bytes =
      parseBytes(value) ?? refuseValue(ctx, value, 'is not a size; write a number with a unit, such as 512MiB or 4GiB');
    return bytes < least ? refuseValue(ctx, value, `must be at least ${formatBytes(least)}`) : bytes;
  });

export const byteSize = byteSizeFrom(1);

/** `examples` name times that are usual for the key. */
export const durationLike = (examples: string) =>
  z
    .string()
    .transform(
      (value, ctx) =>
        parseDurationMs(value) ?? refuseValue(ctx, value, `is not a time; write a number with a unit, such as ${examples}`),
    );
