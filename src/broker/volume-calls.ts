import { randomBytes } from 'node:crypto';

import { visible } from '../base/text.ts';
import { json, nothing, type Call, type Reply } from './call.ts';
import type { KeptVolume } from './kept-names.ts';
import type { Note } from './notes.ts';
import { ownContainers } from './own-containers.ts';
import type { BrokerParts } from './parts.ts';
import { volumeSchema } from './read-create.ts';
import { hasLabels, readFilters } from './read-filters.ts';
import { conflict, notFound, notOffered } from './refusal.ts';

/** Volumes are folders of the sandbox's own on the host, never volumes of the engine's. */

const greatestCount = 128;

export async function list({ query }: Call, { names }: BrokerParts): Promise<Reply> {
  const filters = readFilters(query.text('filters'), ['label', 'name', 'dangling', 'driver']);
  const shown = names.now().volumes.filter(({ name, labels }) => {
    const wanted = filters.get('name');
    return hasLabels(labels, filters.get('label')) && (wanted === undefined || wanted.some((part) => name.includes(part)));
  });
  return json({ Volumes: shown.map(volumeView), Warnings: [] });
}

export async function inspect({ params }: Call, parts: BrokerParts): Promise<Reply> {
  return json(volumeView(find(parts, params[0] ?? '')));
}

export async function create(call: Call, parts: BrokerParts): Promise<Reply> {
  const { Name, Labels } = await call.read(volumeSchema);
  const name = Name === undefined || Name === null || Name === '' ? randomBytes(32).toString('hex') : Name;
  const known = parts.names.now().volumes.find((volume) => volume.name === name);
  if (known !== undefined) {
    return json(volumeView(known), 201);
  }
  await call.effect('docker.volume-create', name);
  return json(volumeView(await make(parts, name, Labels ?? {})), 201);
}

export async function remove(call: Call, parts: BrokerParts): Promise<Reply> {
  const { name } = find(parts, call.params[0] ?? '');
  const user = (await ownContainers(parts)).find(({ said }) =>
    said.mounts.some(({ kind, source }) => kind === 'volume' && source === name),
  );
  if (user !== undefined) {
    throw conflict(`remove ${name}: volume is in use - [${user.id}]`);
  }
  await call.effect('docker.volume-remove', name);
  await parts.containers.removeVolume(name);
  await parts.names.change((names) => ({ ...names, volumes: names.volumes.filter((volume) => volume.name !== name) }));
  return nothing;
}

/** Those that a container is to see: a named one that is not there is made, as Docker does. */
export async function requireVolumes(parts: BrokerParts, { mounts, anonymous }: Note): Promise<void> {
  for (const { kind, source } of mounts) {
    if (kind === 'volume') {
      // oxlint-disable-next-line no-await-in-loop -- a name may stand there twice
      await (anonymous.includes(source) ? parts.containers.makeVolume(source) : ensure(parts, source));
    }
  }
}

async function ensure(parts: BrokerParts, name: string): Promise<void> {
  if (parts.names.now().volumes.every((volume) => volume.name !== name)) {
    await make(parts, name, {});
  }
}

async function make(parts: BrokerParts, name: string, labels: Readonly<Record<string, string>>): Promise<KeptVolume> {
  if (parts.names.now().volumes.length >= greatestCount) {
    throw notOffered('limits', `a sandbox has no more than ${greatestCount} volumes`);
  }
  const volume = { name, labels: { ...labels }, created: new Date(parts.clock.nowMs()).toISOString() };
  await parts.containers.makeVolume(name);
  await parts.names.change((names) => ({ ...names, volumes: [...names.volumes.filter((known) => known.name !== name), volume] }));
  return volume;
}

function find({ names }: BrokerParts, name: string): KeptVolume {
  const found = names.now().volumes.find((volume) => volume.name === name);
  if (found === undefined) {
    throw notFound(`get ${visible(name).slice(0, 128)}: no such volume`);
  }
  return found;
}

function volumeView({ name, labels, created }: KeptVolume): object {
  return { Name: name, Driver: 'local', Mountpoint: '', CreatedAt: created, Labels: labels, Scope: 'local', Options: null };
}
