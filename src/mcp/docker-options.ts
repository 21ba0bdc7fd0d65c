import { z } from 'zod';

import { parseBytes } from '../base/units.ts';
import type { Narrowing } from '../policy/layers/narrow-policy.ts';

/**
 * Accepts options in the form of a Docker `HostConfig`, for callers that are used to it. They can only tighten: each is either
 * what every sandbox has anyway, or becomes a limit of the plan. Any other option is refused by name.
 */
export const dockerOptions = z
  .strictObject({
    SecurityOpt: z
      .array(
        z
          .string()
          .regex(
            /^no-new-privileges(?:[:=]true)?$/,
            'cannot be honoured: it can only be `no-new-privileges`, which always holds',
          ),
      )
      .max(4)
      .optional()
      .describe('`["no-new-privileges"]`; holds anyway'),
    CapDrop: z
      .array(z.string().regex(/^(?:ALL|(?:CAP_)?[A-Z][A-Z_]{2,31})$/, 'is not the name of a capability'))
      .max(64)
      .optional()
      .describe('`["ALL"]` or names; a sandbox has none anyway'),
    ReadonlyRootfs: z
      .literal(true, 'cannot be honoured: the root file system is always read-only')
      .optional()
      .describe('`true`; holds anyway'),
    Memory: z
      .union([z.string().max(32), z.int()], 'is not a size such as "2g"')
      .refine(
        (size) => (parseBytes(size) ?? 0) >= leastMemory,
        'is not a size of 64 MiB or more, such as "2g" or a number of bytes',
      )
      .optional()
      .describe('most memory, e.g. `"2g"`; not more than the policy gives'),
    CpuQuota: z
      .int()
      .min(5000, 'is less than 5000: it counts microseconds of processor time in 100,000, and none is no limit')
      .optional()
      .describe('microseconds of processor time in 100,000, e.g. `50000` for half a processor; not more than the policy gives'),
  })
  .describe('options in the words of Docker that tighten; any other key is refused');

const leastMemory = 64 * 1024 ** 2;
const periodUs = 100_000;

export type DockerOptions = z.output<typeof dockerOptions>;

export function narrowingOf({ Memory, CpuQuota }: DockerOptions = {}): Narrowing {
  return {
    ...(Memory === undefined ? {} : { memoryBytes: parseBytes(Memory) }),
    ...(CpuQuota === undefined ? {} : { cpus: CpuQuota / periodUs }),
  };
}
