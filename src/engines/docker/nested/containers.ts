import { randomBytes } from 'node:crypto';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { CasemateError } from '../../../base/errors.ts';
import { visible } from '../../../base/text.ts';
import { privateFolder } from '../../../system/files.ts';
import { removeTree } from '../../../system/remove-tree.ts';
import type { ContainerSpec, NestedContainer, NestedMount, SandboxContainers } from '../../containers.ts';
import { askedFor } from '../asked-for.ts';
import { bodyFacts } from '../body-facts.ts';
import { firstPid, inspectContainer, partOf, removeContainer } from '../containers.ts';
import type { DockerContext } from '../context.ts';
import { kernelOf } from '../kernel/kernel-of.ts';
import { segment } from '../docker-client.ts';
import { labels } from '../labels.ts';
import { leftOut } from '../left-out.ts';
import { limitPools } from '../limit-pools.ts';
import { userOf } from '../lifecycle.ts';
import { differences, kernelFaults } from '../read-back.ts';
import { fieldsOf, numberOf, rowsOf, textOf } from '../read-json.ts';
import { restrictMounts } from '../restrict-mounts.ts';
import { nestedBody, type NestedBody, type NestedFacts } from './body.ts';
import { commandsOf } from './commands.ts';
import { imagesOf } from './images.ts';
import { removeOwnVolumes } from './leftovers.ts';
import { makeVolumeFolder, placeMounts, volumesOf, whileHeld, type MountContext } from './mounts.ts';
import { requireShare, sharesOf } from './shares.ts';

/**
 * The containers next to one sandbox of the Docker engine. Everything that is done to one is done to an id found by our labels.
 */

/** What a start needs that came with another call, perhaps to another process. */
interface Kept {
  readonly version: 1;
  readonly key: string;
  readonly mounts: readonly NestedMount[];
  readonly body: NestedBody;
}

interface Nested extends MountContext {
  readonly facts: Omit<NestedFacts, 'mounts'>;
  readonly share: NestedFacts['share'];
  readonly folder: string;
}

export async function sandboxContainers(context: DockerContext, id: string): Promise<SandboxContainers> {
  const nested = await nestedOf(context, id);
  const { client, exclusive } = context;
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => exclusive(`containers of ${id}`, work);
  const list = (): Promise<readonly NestedContainer[]> => listOf(context, id);
  const require = async (container: string): Promise<void> => {
    if (!(await list()).some((own) => own.id === container)) {
      throw new CasemateError('ENGINE_FAILED', 'there is no such container');
    }
  };
  return {
    agent: nested.agent,
    share: nested.share,
    list,
    create: (spec) => inTurn(() => create(nested, spec)),
    start: (container) => inTurn(() => require(container).then(() => start(nested, container))),
    async stop(container, seconds) {
      await require(container);
      const query = seconds === undefined ? {} : { t: seconds };
      await settled(
        client.call('POST', `/containers/${segment(container)}/stop`, { query, timeoutMs: 60_000 + (seconds ?? 10) * 1000 }),
      );
    },
    async kill(container, signal) {
      await require(container);
      await client.must('POST', `/containers/${segment(container)}/kill`, { query: { signal } });
    },
    remove: (container) =>
      inTurn(async () => {
        await require(container);
        await removeContainer(context, container);
        await rm(keptFile(nested, container), { force: true });
        await removeOwnVolumes(context, id, true);
      }),
    ...commandsOf(context, { require, user: nested.facts.user, labels: await ownLabels(context, id) }),
    images: imagesOf(nested),
    makeVolume: (name) => makeVolumeFolder(nested, name),
    removeVolume: (name) => inTurn(async () => removeVolume(nested, name, await list())),
  };
}

/** In turn with what is made: nothing of the sandbox sees the folder while it goes, and none that may see it does it go from. */
async function removeVolume(nested: Nested, name: string, own: readonly NestedContainer[]): Promise<void> {
  const users = await Promise.all(
    own.map(async ({ id }) => {
      const kept = await keptOf(nested, id).catch(() => undefined);
      return kept === undefined || kept.mounts.some(({ kind, source }) => kind === 'volume' && source === name);
    }),
  );
  if (users.includes(true)) {
    throw new CasemateError('UNSUPPORTED', `the volume ${visible(name)} is in use`);
  }
  await removeTree(join(volumesOf(nested.spec), name));
}

/** An engine may say that it was so already. */
async function settled(call: Promise<{ readonly status: number; readonly body: unknown }>): Promise<void> {
  const { status, body } = await call;
  if (status !== 204 && status !== 304) {
    throw new CasemateError(
      'ENGINE_FAILED',
      `the engine refused it: ${visible(textOf(fieldsOf(body)['message'])).slice(0, 300)}`,
    );
  }
}

async function nestedOf(context: DockerContext, id: string): Promise<Nested> {
  const { spec } = await context.records.get(id);
  const { containers } = spec;
  const keeper = await partOf(context, id, 'keeper');
  if (
    containers === undefined ||
    keeper === undefined ||
    (await context.facts()).product === 'Podman' ||
    (await context.way()).isElsewhere
  ) {
    throw new CasemateError('UNSUPPORTED', 'this sandbox has no containers of its own');
  }
  const agent = await userOf(spec);
  const { mounts } = await askedFor(context.sandbox(id).askedFor);
  const { firstUser: _, limits: __, image: ___, ...facts } = await bodyFacts(context, spec, '');
  const shown = new Set(spec.files.map(({ target }) => target));
  return {
    context,
    spec,
    marks: facts.marks,
    agent,
    given: mounts,
    share: containers.limits,
    folder: join(context.sandbox(id).folder, 'nested'),
    facts: {
      ...facts,
      share: containers.limits,
      user: `${agent.uid}:${agent.gid}`,
      keeper: keeper.id,
      // Where tools look for whom to trust: the file is shown in every container.
      env: Object.entries(spec.env).flatMap(([name, value]) => (shown.has(value) ? [`${name}=${value}`] : [])),
    },
  };
}

async function ownLabels({ mark }: DockerContext, id: string): Promise<readonly string[]> {
  return [`${labels.engine}=${await mark()}`, `${labels.sandbox}=${id}`, `${labels.part}=nested`];
}

async function listOf(context: DockerContext, id: string): Promise<readonly NestedContainer[]> {
  const engine = await context.mark();
  const query = { all: true, filters: JSON.stringify({ label: await ownLabels(context, id) }) };
  const rows = rowsOf(await context.client.must('GET', '/containers/json', { query })).map(fieldsOf);
  return rows.flatMap((row) => {
    const told = fieldsOf(row['Labels']);
    const isOwn = told[labels.engine] === engine && told[labels.sandbox] === id && told[labels.part] === 'nested';
    return isOwn && /^[0-9a-f]{64}$/.test(textOf(row['Id']))
      ? [
          {
            id: textOf(row['Id']),
            state: textOf(row['State']),
            status: textOf(row['Status']),
            createdS: numberOf(row['Created']) ?? 0,
            note: textOf(told[labels.note]),
            imageId: textOf(row['ImageID']),
            command: textOf(row['Command']),
          },
        ]
      : [];
  });
}

async function create(nested: Nested, spec: ContainerSpec): Promise<string> {
  const { context, folder } = nested;
  const key = randomBytes(8).toString('hex');
  const mounts = await placeMounts(nested, key, spec.mounts);
  const body = nestedBody({ ...nested.facts, mounts }, spec);
  const name = `casemate-${nested.spec.id}-${key}`;
  const told = fieldsOf(
    await whileHeld(nested, key, {
      mounts: spec.mounts,
      work: () => context.client.must('POST', '/containers/create', { query: { name }, body }),
    }),
  );
  const id = textOf(told['Id']);
  try {
    const { User, Image, Labels, HostConfig } = body;
    const faults = [
      ...leftOut(told, body),
      ...differences({ User, Image, Labels, HostConfig }, await inspectContainer(context, id)),
    ];
    if (faults.length > 0) {
      throw new CasemateError(
        'ENGINE_FAILED',
        `the engine made a container other than asked: ${faults.map(visible).join(', ').slice(0, 300)}`,
      );
    }
    await privateFolder(folder);
    const kept: Kept = { version: 1, key, mounts: spec.mounts, body };
    await writeFile(keptFile(nested, id), JSON.stringify(kept), { mode: 0o600 });
    return id;
  } catch (error) {
    await removeContainer(context, id);
    throw error;
  }
}

async function start(nested: Nested, id: string): Promise<void> {
  const { context } = nested;
  const { key, mounts, body } = await keptOf(nested, id);
  const running = (await sharesOf(context, nested.spec.id)).filter((share) => share.isRunning);
  if (running.some((share) => share.id === id)) {
    return;
  }
  await requireShare(context, { id, running, share: nested.share, processors: nested.facts.processors });
  await whileHeld(nested, key, {
    mounts,
    work: () => settled(context.client.call('POST', `/containers/${segment(id)}/start`)),
  });
  await confirm(nested, id, body);
}

/**
 * It may have ended by now, or be about to. What runs must be what was asked for: else it is stopped before its maker hears of
 * it, also where only its first thread has ended.
 */
async function confirm({ context, facts, marks, spec }: Nested, id: string, body: NestedBody): Promise<void> {
  const [pid, kernel] = await Promise.all([firstPid(context, id), kernelOf(context)]);
  if (pid === undefined || (await kernel.isEnding(pid))) {
    return;
  }
  try {
    const faults = kernelFaults(await kernel.read(pid, 'status'), facts.user);
    if (faults.length > 0) {
      throw new CasemateError(
        'ENGINE_FAILED',
        `a container of ${marks.sandbox} is other than asked: ${faults.map(visible).join(', ').slice(0, 300)}`,
      );
    }
    const memoryBytes = numberOf(body.HostConfig['Memory']) ?? facts.share.memoryBytes;
    await restrictMounts(kernel, pid, fieldsOf(body.HostConfig['Tmpfs']));
    await limitPools(context, pid, { hostname: spec.hostname, limits: { ...facts.share, memoryBytes } });
  } catch (error) {
    // The kernel takes the mounts of a process that ends a moment before the engine knows of the end.
    if (!(await kernel.isEnding(pid)) && (await firstPid(context, id)) !== undefined) {
      await context.client.call('POST', `/containers/${segment(id)}/kill`);
      // Whoever asked is inside: why is for the host to know.
      throw new CasemateError('ENGINE_FAILED', 'the container was not as it has to be, and was stopped', { cause: error });
    }
  }
}

function keptFile({ folder }: Nested, id: string): string {
  return join(folder, `${id}.json`);
}

async function keptOf(nested: Nested, id: string): Promise<Kept> {
  const value: unknown = JSON.parse(await readFile(keptFile(nested, id), 'utf8').catch(() => 'null'));
  if (isKept(value)) {
    return value;
  }
  throw new CasemateError('ENGINE_FAILED', 'it is not known any more what the container was asked to be');
}

/** The folder is private and the file ours: its version says its form. */
function isKept(value: unknown): value is Kept {
  return typeof value === 'object' && value !== null && 'version' in value && value.version === 1 && 'body' in value;
}
