import { randomBytes } from 'node:crypto';

import { visible } from '../base/text.ts';
import { json, nothing, type Call, type Reply } from './call.ts';
import type { KeptNetwork } from './kept-names.ts';
import { findContainer, ownContainers } from './own-containers.ts';
import { aliasesOf } from './read-spec.ts';
import type { BrokerParts } from './parts.ts';
import { connectSchema, networkSchema } from './read-create.ts';
import { hasLabels, readFilters } from './read-filters.ts';
import { conflict, notFound, notOffered } from './refusal.ts';

/**
 * Networks are only names: all containers of a sandbox share its loopback, and no network leads elsewhere. Containers find each
 * other by name through the gateway's DNS answers.
 */

const greatestCount = 32;
const usual: readonly KeptNetwork[] = ['bridge', 'none'].map((name) => ({
  id: name,
  name,
  labels: {},
  created: '2026-01-01T00:00:00Z',
}));

export async function list({ query }: Call, { names }: BrokerParts): Promise<Reply> {
  const filters = readFilters(query.text('filters'), ['label', 'name', 'id', 'driver', 'scope', 'type', 'dangling']);
  const shown = [...usual, ...names.now().networks].filter(({ id, name, labels }) => {
    const [wantedNames, wantedIds] = [filters.get('name'), filters.get('id')];
    return (
      hasLabels(labels, filters.get('label')) &&
      (wantedNames === undefined || wantedNames.some((part) => name.includes(part.replaceAll(/^\^|\$$/g, '')))) &&
      (wantedIds === undefined || wantedIds.some((part) => id.startsWith(part))) &&
      (filters.get('type')?.includes('custom') !== true || !usual.some((known) => known.id === id))
    );
  });
  return json(shown.map((network) => networkView(network, [])));
}

export async function inspect({ params }: Call, parts: BrokerParts): Promise<Reply> {
  const network = find(parts, params[0] ?? '');
  const members = (await ownContainers(parts)).filter(
    ({ said, state }) => state === 'running' && Object.hasOwn(said.networks, network.name),
  );
  return json(
    networkView(
      network,
      members.map(({ id, said }) => ({ id, name: said.name })),
    ),
  );
}

export async function create(call: Call, parts: BrokerParts): Promise<Reply> {
  const { Name, Labels } = await call.read(networkSchema);
  const known = [...usual, ...parts.names.now().networks];
  if (known.some(({ name }) => name === Name) || Name === 'host' || Name === 'default') {
    throw conflict(`network with name ${Name} already exists`);
  }
  if (known.length >= greatestCount) {
    throw notOffered('limits', `a sandbox has no more than ${greatestCount} networks`);
  }
  await call.effect('docker.network-create', Name);
  const network = {
    id: randomBytes(32).toString('hex'),
    name: Name,
    labels: { ...Labels },
    created: new Date(parts.clock.nowMs()).toISOString(),
  };
  await parts.names.change((names) => ({ ...names, networks: [...names.networks, network] }));
  return json({ Id: network.id, Warning: '' }, 201);
}

export async function remove(call: Call, parts: BrokerParts): Promise<Reply> {
  const { id, name } = find(parts, call.params[0] ?? '');
  if (usual.some((network) => network.id === id)) {
    throw conflict(`${name} is a pre-defined network and cannot be removed`);
  }
  const member = (await ownContainers(parts)).find(
    ({ said, state }) => state === 'running' && Object.hasOwn(said.networks, name),
  );
  if (member !== undefined) {
    throw conflict(`error while removing network: network ${name} id ${id} has active endpoints`);
  }
  await call.effect('docker.network-remove', name);
  await parts.names.change((names) => ({ ...names, networks: names.networks.filter((network) => network.id !== id) }));
  return nothing;
}

/** Every container is reached by its name from every other one already; what is new is what else it is called. */
export async function connect(call: Call, parts: BrokerParts): Promise<Reply> {
  const { name } = find(parts, call.params[0] ?? '');
  const { Container, EndpointConfig } = await call.read(connectSchema);
  const { id, said } = await findContainer(parts, Container);
  await call.effect('docker.network-connect', said.name, { network: name });
  const link = { container: id, network: name, aliases: aliasesOf(EndpointConfig) };
  const there = new Set((await ownContainers(parts)).map((container) => container.id));
  await parts.names.change((names) => ({
    ...names,
    links: [...names.links.filter((known) => there.has(known.container) && !isSame(known, link)), link],
  }));
  await parts.renamed();
  return { kind: 'nothing', status: 200 };
}

export async function disconnect(call: Call, parts: BrokerParts): Promise<Reply> {
  const { name } = find(parts, call.params[0] ?? '');
  const { Container } = await call.read(connectSchema);
  const { id, said } = await findContainer(parts, Container);
  await call.effect('docker.network-disconnect', said.name, { network: name });
  await parts.names.change((names) => ({
    ...names,
    links: names.links.filter((known) => !isSame(known, { container: id, network: name })),
  }));
  await parts.renamed();
  return { kind: 'nothing', status: 200 };
}

interface Ends {
  readonly container: string;
  readonly network: string;
}

function isSame(one: Ends, other: Ends): boolean {
  return one.container === other.container && one.network === other.network;
}

function find({ names }: BrokerParts, reference: string): KeptNetwork {
  const all = [...usual, ...names.now().networks];
  const found =
    all.find(({ id, name }) => id === reference || name === reference) ??
    (/^[0-9a-f]{4,63}$/.test(reference) ? all.find(({ id }) => id.startsWith(reference)) : undefined);
  if (found === undefined) {
    throw notFound(`network ${visible(reference).slice(0, 128)} not found`);
  }
  return found;
}

function networkView(
  { id, name, labels, created }: KeptNetwork,
  members: readonly { readonly id: string; readonly name: string }[],
): object {
  return {
    Name: name,
    Id: id,
    Created: created,
    Scope: 'local',
    Driver: name === 'none' ? 'null' : 'bridge',
    EnableIPv6: false,
    IPAM: { Driver: 'default', Options: null, Config: [] },
    Internal: false,
    Attachable: false,
    Ingress: false,
    ConfigFrom: { Network: '' },
    ConfigOnly: false,
    Containers: Object.fromEntries(
      members.map((member) => [
        member.id,
        { Name: member.name, EndpointID: '', MacAddress: '', IPv4Address: '127.0.0.1/8', IPv6Address: '' },
      ]),
    ),
    Options: {},
    Labels: labels,
  };
}
