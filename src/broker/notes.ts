import { z } from 'zod';

import { parseJson } from '../base/json.ts';

/**
 * The name and labels that a client gave a container, kept in one label of ours: so the engine labels that this program trusts
 * never hold what a sandbox wrote, and a restarted daemon finds everything on the container itself.
 */
const schema = z.object({
  version: z.literal(1),
  name: z.string(),
  image: z.string(),
  labels: z.record(z.string(), z.string()),
  hostname: z.string(),
  /** `6379/tcp` that are told as published, under the same number */
  published: z.array(z.string()),
  exposed: z.array(z.string()),
  /** by the name of a network: further names there */
  networks: z.record(z.string(), z.array(z.string())),
  mounts: z.array(
    z.object({ kind: z.enum(['path', 'volume']), source: z.string(), target: z.string(), isReadonly: z.boolean() }),
  ),
  memoryFolders: z.array(z.string()),
  anonymous: z.array(z.string()),
  networkMode: z.string(),
  autoRemove: z.boolean(),
  restart: z.string(),
  memoryBytes: z.number(),
});

export type Note = z.output<typeof schema>;

/** `undefined` for one that no version of this program wrote. */
export function readNote(text: string): Note | undefined {
  const parsed = schema.safeParse(parseJson(text));
  return parsed.success ? parsed.data : undefined;
}
