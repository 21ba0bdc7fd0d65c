import { asObject } from '../base/json.ts';
import { visible } from '../base/text.ts';
import type { BrokerParts } from './parts.ts';
import { BrokerRefusal, malformed, notFound } from './refusal.ts';

/**
 * Finds images by the names that clients use. Those that the policy names come first, so that no tag of a sandbox's can shadow
 * one.
 */

export interface FoundImage {
  readonly id: string;
  /** by which it is known here; empty for one without */
  readonly names: readonly string[];
  readonly volumes: readonly string[];
  readonly exposed: readonly string[];
  readonly isOwn: boolean;
}

/** Under which the sandbox has the image that it runs on. */
export const ownName = 'casemate/sandbox:latest';

/** With a tag, and without what Docker means where nothing is said. Throws a refusal. */
export function canonicalName(reference: string): string {
  const bare = reference.replace(/^(?:docker\.io\/)?(?:library\/)?/, '');
  if (!/^[a-z0-9][a-z0-9._/-]{0,200}(?::[\w][\w.-]{0,127})?$/.test(bare)) {
    throw malformed(`invalid reference format: ${visible(reference).slice(0, 200)}`);
  }
  return bare.includes(':') ? bare : `${bare}:latest`;
}

export async function findImage(parts: BrokerParts, reference: string): Promise<FoundImage> {
  const id = await idOf(parts, reference);
  if (id === undefined) {
    const known = [ownName, ...parts.offer.images, ...Object.keys(parts.names.now().tags)];
    throw notFound(`No such image: ${visible(reference).slice(0, 200)} (this sandbox has ${known.slice(0, 12).join(', ')})`);
  }
  return describe(parts, id);
}

export async function describe(parts: BrokerParts, id: string): Promise<FoundImage> {
  const { images } = parts.containers;
  const config = asObject(asObject(await images.inspect(id))['Config']);
  const tags = Object.entries(parts.names.now().tags);
  const named = await Promise.all(parts.offer.images.map(async (name) => ((await images.named(name)) === id ? [name] : [])));
  const isSandbox = (await images.sandbox()) === id;
  return {
    id,
    names: [...named.flat(), ...(isSandbox ? [ownName] : []), ...tags.flatMap(([name, image]) => (image === id ? [name] : []))],
    volumes: Object.keys(asObject(config['Volumes'])),
    exposed: Object.keys(asObject(config['ExposedPorts'])),
    isOwn: (await images.own()).includes(id),
  };
}

async function idOf({ containers: { images }, offer, names }: BrokerParts, reference: string): Promise<string | undefined> {
  const digits = /^(?:sha256:)?([0-9a-f]{7,64})$/.exec(reference)?.[1];
  const name = nameOrNothing(reference);
  if (name !== undefined && offer.images.includes(name)) {
    return images.named(name);
  }
  if (name === ownName) {
    return images.sandbox();
  }
  const tagged = name === undefined ? undefined : names.now().tags[name];
  const own = await images.own();
  if (tagged !== undefined) {
    return own.includes(tagged) || (await isOffered(tagged, { images, offer })) ? tagged : undefined;
  }
  const all = [...own, await images.sandbox(), ...(await offeredIds({ images, offer }))];
  return digits === undefined ? undefined : all.find((id) => id.startsWith(`sha256:${digits}`));
}

type Offered = { readonly images: BrokerParts['containers']['images']; readonly offer: BrokerParts['offer'] };

async function isOffered(id: string, parts: Offered): Promise<boolean> {
  return (await parts.images.sandbox()) === id || (await offeredIds(parts)).includes(id);
}

export async function offeredIds({ images, offer }: Offered): Promise<readonly string[]> {
  const found = await Promise.all(offer.images.map((name) => images.named(name)));
  return found.filter((id) => id !== undefined);
}

function nameOrNothing(reference: string): string | undefined {
  try {
    return canonicalName(reference);
  } catch (error) {
    if (error instanceof BrokerRefusal) {
      return undefined;
    }
    throw error;
  }
}
