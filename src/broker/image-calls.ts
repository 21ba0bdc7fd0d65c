import { asObject } from '../base/json.ts';
import { visible } from '../base/text.ts';
import { json, type Call, type Reply } from './call.ts';
import { canonicalName, describe, findImage, offeredIds, ownName, type FoundImage } from './find-image.ts';
import { ownContainers } from './own-containers.ts';
import type { BrokerParts } from './parts.ts';
import { hasLabels, readFilters } from './read-filters.ts';
import { conflict, notOffered } from './refusal.ts';

/** Images that exist already: inspect, tag, remove. Nothing is fetched from anywhere. */

export async function list({ query }: Call, parts: BrokerParts): Promise<Reply> {
  const filters = readFilters(query.text('filters'), ['label', 'reference', 'dangling', 'before', 'since']);
  const { images } = parts.containers;
  const ids = new Set([...(await images.own()), await images.sandbox(), ...(await offeredIds({ images, offer: parts.offer }))]);
  const rows = await Promise.all(
    [...ids].map(async (id) => ({ image: await describe(parts, id), told: asObject(await images.inspect(id)) })),
  );
  return json(
    rows
      .filter(({ image, told }) => {
        const references = filters.get('reference');
        const isNamed =
          references === undefined ||
          image.names.some((name) => references.some((wanted) => name === wanted || name.split(':')[0] === wanted));
        const dangling = filters.get('dangling')?.[0];
        return (
          isNamed &&
          hasLabels(labelsOf(told), filters.get('label')) &&
          (dangling === undefined || (dangling === 'true') === (image.names.length === 0))
        );
      })
      .map(({ image, told }) => ({
        Id: image.id,
        ParentId: '',
        RepoTags: image.names.length === 0 ? ['<none>:<none>'] : image.names,
        RepoDigests: image.names.length === 0 ? ['<none>@<none>'] : [],
        Created: Math.floor(Date.parse(String(told['Created'])) / 1000) || 0,
        Size: told['Size'],
        VirtualSize: told['Size'],
        SharedSize: -1,
        Containers: -1,
        Labels: labelsOf(told),
      })),
  );
}

/** Those of this program are not its maker's. */
function labelsOf(told: Readonly<Record<string, unknown>>): Readonly<Record<string, string>> {
  const labels = asObject(asObject(told['Config'])['Labels']);
  return Object.fromEntries(
    Object.entries(labels).flatMap(([name, value]) => (name.startsWith('casemate.') ? [] : [[name, String(value)] as const])),
  );
}

export async function inspect({ params }: Call, parts: BrokerParts): Promise<Reply> {
  const image = await findImage(parts, params[0] ?? '');
  const told = asObject(await parts.containers.images.inspect(image.id));
  const config = asObject(told['Config']);
  return json({
    Id: image.id,
    RepoTags: image.names,
    RepoDigests: [],
    Parent: '',
    Comment: '',
    Created: told['Created'],
    DockerVersion: '',
    Author: '',
    Architecture: told['Architecture'],
    Os: told['Os'],
    Size: told['Size'],
    VirtualSize: told['Size'],
    GraphDriver: { Name: 'casemate', Data: {} },
    RootFS: told['RootFS'],
    Metadata: {},
    Config: { ...config, Hostname: '', Image: '', Labels: labelsOf(told) },
  });
}

export async function history({ params }: Call, parts: BrokerParts): Promise<Reply> {
  const { id } = await findImage(parts, params[0] ?? '');
  return json(await parts.containers.images.history(id));
}

/** What a pull would ask for. One that is there is up to date by definition; another one is not fetched. */
export async function pull({ query }: Call, parts: BrokerParts): Promise<Reply> {
  const version = query.text('tag');
  const reference = query.text('fromImage');
  if (query.text('fromSrc') !== '' || reference === '') {
    throw notOffered('docker.images', 'an image cannot be brought in');
  }
  const name = `${reference}${version === '' || reference.includes(':') ? '' : `:${version}`}`;
  const found = await findImage(parts, name).catch(() => undefined);
  if (found === undefined) {
    const known = [ownName, ...parts.offer.images].join(', ');
    throw notOffered(
      'docker.images',
      `${visible(name).slice(0, 200)} is not fetched from a registry. This sandbox has ${known}; the policy of the host names more (docker.images)`,
    );
  }
  return {
    kind: 'text',
    status: 200,
    body: `${JSON.stringify({ status: `Status: Image is up to date for ${name}` })}\n`,
    headers: { 'Content-Type': 'application/json' },
  };
}

const greatestTags = 256;

export async function tag(call: Call, parts: BrokerParts): Promise<Reply> {
  const image = await findImage(parts, call.params[0] ?? '');
  const repository = call.query.text('repo');
  await giveName(call, parts, {
    image,
    name: `${repository}${call.query.text('tag') === '' ? '' : `:${call.query.text('tag')}`}`,
  });
  return { kind: 'nothing', status: 201 };
}

/** A name of the sandbox's own; no name that the policy gives can be taken. */
async function giveName(
  call: Call,
  parts: BrokerParts,
  { image, name }: { readonly image: Pick<FoundImage, 'id'>; readonly name: string },
): Promise<void> {
  const whole = freeName(parts, name);
  await call.effect('docker.tag', whole, { imageId: image.id });
  await parts.names.change((names) => ({ ...names, tags: { ...names.tags, [whole]: image.id } }));
}

/** In its canonical form. Throws a refusal. */
export function freeName({ offer, names }: BrokerParts, name: string): string {
  const whole = canonicalName(name);
  if (offer.images.includes(whole) || whole === ownName) {
    throw notOffered('docker.images', `${whole} is a name that the policy gives, and leads to that image alone`);
  }
  if (Object.keys(names.now().tags).length >= greatestTags) {
    throw notOffered('limits', `a sandbox has no more than ${greatestTags} names of images`);
  }
  return whole;
}

export async function remove(call: Call, parts: BrokerParts): Promise<Reply> {
  const reference = call.params[0] ?? '';
  const image = await findImage(parts, reference);
  const name = Object.keys(parts.names.now().tags).find((known) => known === reference || known === `${reference}:latest`);
  const others = image.names.filter((known) => known !== name);
  const goes = image.isOwn && (name === undefined || others.length === 0);
  if (name === undefined && !image.isOwn) {
    throw notOffered('docker.images', `${visible(reference).slice(0, 200)} is not an image of this sandbox`);
  }
  await (goes ? requireUnused(parts, image.id) : Promise.resolve());
  await call.effect('docker.image-remove', name ?? image.id, { imageId: image.id });
  const gone = name === undefined ? image.names : [name];
  await parts.names.change((names) => ({
    ...names,
    tags: Object.fromEntries(Object.entries(names.tags).filter(([known]) => !gone.includes(known))),
  }));
  await (goes ? parts.containers.images.removeOwn(image.id) : Promise.resolve());
  return json([...gone.map((Untagged) => ({ Untagged })), ...(goes ? [{ Deleted: image.id }] : [])]);
}

async function requireUnused(parts: BrokerParts, image: string): Promise<void> {
  const user = (await ownContainers(parts)).find(({ imageId }) => imageId === image);
  if (user !== undefined) {
    throw conflict(`conflict: unable to remove the image: container ${user.said.name} is using it`);
  }
}
