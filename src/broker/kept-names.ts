import { z } from 'zod';

import { parseJson } from '../base/json.ts';
import { readTextIfPresent, writeDurably } from '../system/files.ts';

/**
 * Names that one sandbox has given to images, networks and volumes. They exist only for this sandbox: a tag names no image for
 * anyone else and cannot overwrite a name of the engine's.
 */
const schema = z.object({
  version: z.literal(1),
  tags: z.record(z.string(), z.string()),
  networks: z.array(
    z.object({ id: z.string(), name: z.string(), labels: z.record(z.string(), z.string()), created: z.string() }),
  ),
  /** names that a container was given in a network after it was made */
  links: z.array(z.object({ container: z.string(), network: z.string(), aliases: z.array(z.string()) })).default([]),
  volumes: z.array(z.object({ name: z.string(), labels: z.record(z.string(), z.string()), created: z.string() })),
});

type Names = z.output<typeof schema>;
export type KeptNetwork = Names['networks'][number];
export type KeptVolume = Names['volumes'][number];

export interface KeptNames {
  readonly now: () => Names;
  /** One change after the other, on disk when it resolves. */
  readonly change: (change: (names: Names) => Names) => Promise<void>;
}

const none: Names = { version: 1, tags: {}, networks: [], links: [], volumes: [] };

export async function openKeptNames(file: string): Promise<KeptNames> {
  const parsed = schema.safeParse(parseJson((await readTextIfPresent(file)) ?? 'null'));
  let names = parsed.success ? parsed.data : none;
  let last: Promise<unknown> = Promise.resolve();
  return {
    now: () => names,
    async change(change) {
      names = change(names);
      const write = last.then(() => writeDurably(file, JSON.stringify(names)));
      last = write.catch(() => undefined);
      await write;
    },
  };
}
