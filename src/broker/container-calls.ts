import { visible } from '../base/text.ts';
import { json, nothing, type Call, type Reply } from './call.ts';
import { containerDetails, containerRow } from './container-view.ts';
import { findImage } from './find-image.ts';
import type { Note } from './notes.ts';
import { findContainer, ownContainers, type OwnContainer } from './own-containers.ts';
import type { BrokerParts } from './parts.ts';
import { createSchema, type CreateBody } from './read-create.ts';
import { hasLabels, isAmong, readFilters } from './read-filters.ts';
import { readSpec } from './read-spec.ts';
import { conflict, malformed, notOffered } from './refusal.ts';
import { requireVolumes } from './volume-calls.ts';

/** Containers: create, inspect, start, end. */

const greatestCount = 64;

/** One after the other: what is counted and compared must not change before it is made. */
export function createInTurn(): (call: Call, parts: BrokerParts) => Promise<Reply> {
  let last: Promise<unknown> = Promise.resolve();
  return async (call, parts) => {
    // Whoever takes long to say it keeps nobody waiting.
    const body = await call.read(createSchema);
    const made = last.then(() => create(call, parts, body));
    last = made.catch(() => undefined);
    return made;
  };
}

async function create(call: Call, parts: BrokerParts, body: CreateBody): Promise<Reply> {
  const image = await findImage(parts, body.Image);
  const asked = readSpec(body, {
    share: parts.containers.share,
    image,
    name: call.query.text('name'),
    networks: parts.names.now().networks.flatMap(({ id, name }) => [name, id]),
  });
  const there = await ownContainers(parts);
  if (there.length >= greatestCount) {
    throw notOffered('limits', `a sandbox has no more than ${greatestCount} containers`);
  }
  const { name } = asked.note;
  if (there.some(({ said }) => said.name === name)) {
    throw conflict(
      `Conflict. The container name "/${name}" is already in use. You have to remove (or rename) that container to be able to reuse that name.`,
    );
  }
  const note = named(asked.note, parts);
  await call.effect('docker.create', name, { image: visible(body.Image), imageId: image.id });
  await requireVolumes(parts, asked.note);
  const id = await parts.containers.create({ ...asked.spec, note: JSON.stringify(note) });
  await parts.renamed();
  return json({ Id: id, Warnings: asked.warnings }, 201);
}

/** A client may say the id of a network where it means its name. */
function named(note: Note, { names }: BrokerParts): Note {
  const nameOf = (network: string): string => names.now().networks.find(({ id }) => id === network)?.name ?? network;
  return {
    ...note,
    networkMode: nameOf(note.networkMode),
    networks: Object.fromEntries(Object.entries(note.networks).map(([name, aliases]) => [nameOf(name), aliases])),
  };
}

const listFilters = [
  'label',
  'name',
  'id',
  'status',
  'network',
  'ancestor',
  'volume',
  'exited',
  'publish',
  'expose',
  'health',
  'is-task',
];

export async function list(call: Call, parts: BrokerParts): Promise<Reply> {
  const filters = readFilters(call.query.text('filters'), listFilters);
  const isAll = call.query.flag('all') || filters.has('status');
  const limit = call.query.number('limit') ?? 0;
  const all = (await ownContainers(parts)).filter(
    (container) => matches(container, filters) && (isAll || container.state === 'running'),
  );
  const shown = all.toSorted((a, b) => b.createdS - a.createdS);
  return json((limit > 0 ? shown.slice(0, limit) : shown).map((container) => containerRow(container, networkIdOf(parts))));
}

function networkIdOf({ names }: BrokerParts): (name: string) => string {
  return (name) => names.now().networks.find((network) => network.name === name)?.id ?? name;
}

function matches({ id, state, said, imageId }: OwnContainer, filters: ReturnType<typeof readFilters>): boolean {
  const some = (name: string, test: (value: string) => boolean): boolean => filters.get(name)?.some(test) ?? true;
  return (
    hasLabels(said.labels, filters.get('label')) &&
    some('name', (name) => said.name.includes(name.replaceAll(/^[\^/]+|\$$/g, ''))) &&
    some('id', (beginning) => id.startsWith(beginning)) &&
    isAmong(state, filters.get('status')) &&
    some('network', (network) => Object.hasOwn(said.networks, network)) &&
    some('ancestor', (image) => said.image === image || imageId === image || said.image === `${image}:latest`) &&
    some('volume', (volume) => said.mounts.some(({ source, target }) => source === volume || target === volume))
  );
}

export async function inspect({ params }: Call, parts: BrokerParts): Promise<Reply> {
  const container = await findContainer(parts, params[0] ?? '');
  return json(
    containerDetails(container, {
      told: await parts.containers.inspect({ container: container.id }),
      networkId: networkIdOf(parts),
    }),
  );
}

export async function start(call: Call, parts: BrokerParts): Promise<Reply> {
  const { id, state, said } = await findContainer(parts, call.params[0] ?? '');
  if (state === 'running') {
    return { kind: 'nothing', status: 304 };
  }
  await call.effect('docker.start', said.name);
  await parts.containers.start(id);
  return nothing;
}

export async function stop(call: Call, parts: BrokerParts): Promise<Reply> {
  const { id, state, said } = await findContainer(parts, call.params[0] ?? '');
  if (state !== 'running') {
    return { kind: 'nothing', status: 304 };
  }
  await call.effect('docker.stop', said.name);
  await parts.containers.stop(id, secondsOf(call));
  return nothing;
}

export async function restart(call: Call, parts: BrokerParts): Promise<Reply> {
  const { id, state, said } = await findContainer(parts, call.params[0] ?? '');
  if (said.autoRemove) {
    throw conflict('a container that is removed at its end cannot be started again');
  }
  if (state === 'running') {
    await call.effect('docker.stop', said.name);
    await parts.containers.stop(id, secondsOf(call));
  }
  await call.effect('docker.start', said.name);
  await parts.containers.start(id);
  return nothing;
}

function secondsOf({ query }: Call): number | undefined {
  const seconds = query.number('t');
  return seconds === undefined ? undefined : Math.min(Math.max(seconds, 0), 600);
}

export async function kill(call: Call, parts: BrokerParts): Promise<Reply> {
  const { id, state, said } = await findContainer(parts, call.params[0] ?? '');
  const signal = call.query.text('signal') || 'SIGKILL';
  if (!/^(?:(?:SIG)?[A-Z0-9+-]{1,16}|\d{1,2})$/.test(signal)) {
    throw malformed('that is no signal');
  }
  if (state !== 'running') {
    throw conflict(`Cannot kill container: ${said.name}: Container ${id} is not running`);
  }
  await call.effect('docker.kill', said.name, { signal });
  await parts.containers.kill(id, signal);
  return nothing;
}

export async function remove(call: Call, parts: BrokerParts): Promise<Reply> {
  const { id, state, said } = await findContainer(parts, call.params[0] ?? '');
  if (state === 'running' && !call.query.flag('force')) {
    throw conflict(`You cannot remove a running container ${id}. Stop the container before attempting removal or force remove`);
  }
  await call.effect('docker.remove', said.name);
  await parts.containers.remove(id);
  if (call.query.flag('v') || said.autoRemove) {
    await removeUnused(parts, said.anonymous, id);
  }
  await parts.renamed();
  return nothing;
}

/** A volume without a name has one, by which another container may have it by now. */
async function removeUnused(parts: BrokerParts, volumes: readonly string[], gone: string): Promise<void> {
  const others = (await ownContainers(parts)).filter(({ id }) => id !== gone);
  const used = new Set(others.flatMap(({ said }) => said.mounts.map(({ source }) => source)));
  await Promise.all(volumes.filter((name) => !used.has(name)).map((name) => parts.containers.removeVolume(name)));
}

export async function wait({ params, query, signal }: Call, parts: BrokerParts): Promise<Reply> {
  const { id } = await findContainer(parts, params[0] ?? '');
  const condition = query.text('condition') || 'not-running';
  if (condition !== 'not-running' && condition !== 'next-exit' && condition !== 'removed') {
    throw malformed('that is nothing to wait for');
  }
  return { kind: 'stream', contentType: 'application/json', source: await parts.containers.wait(id, condition, signal) };
}

export async function logs({ params, query, signal }: Call, parts: BrokerParts): Promise<Reply> {
  const { id } = await findContainer(parts, params[0] ?? '');
  const choice = {
    stdout: query.flag('stdout'),
    stderr: query.flag('stderr'),
    follow: query.flag('follow'),
    timestamps: query.flag('timestamps'),
    tail: word(query.text('tail'), 'all'),
    since: word(query.text('since'), '0'),
    until: word(query.text('until'), '0'),
  };
  if (!choice.stdout && !choice.stderr) {
    throw malformed('Bad parameters: you must choose at least one stream');
  }
  const source = await parts.containers.logs(id, choice, signal);
  return { kind: 'stream', contentType: 'application/vnd.docker.raw-stream', source };
}

function word(text: string, otherwise: string): string {
  if (text !== '' && !/^[\w.:+-]{1,64}$/.test(text)) {
    throw malformed('a parameter is neither a number nor a time');
  }
  return text === '' ? otherwise : text;
}

export async function attach({ params, query, signal }: Call, parts: BrokerParts): Promise<Reply> {
  const { id } = await findContainer(parts, params[0] ?? '');
  const choice = {
    stdin: query.flag('stdin'),
    stdout: query.flag('stdout'),
    stderr: query.flag('stderr'),
    logs: query.flag('logs'),
    stream: query.flag('stream'),
  };
  return { kind: 'both-ways', source: await parts.containers.attach(id, choice, signal) };
}

export async function resize({ params, query }: Call, parts: BrokerParts): Promise<Reply> {
  const { id } = await findContainer(parts, params[0] ?? '');
  await parts.containers.resize({ container: id }, sizeOf(query));
  return { kind: 'nothing', status: 200 };
}

export function sizeOf(query: Call['query']): { readonly rows: number; readonly columns: number } {
  const [rows = 0, columns = 0] = [query.number('h'), query.number('w')];
  if (rows < 0 || rows > 65_535 || columns < 0 || columns > 65_535) {
    throw malformed('that is no size of a terminal');
  }
  return { rows, columns };
}
