import { CasemateError } from '../../base/errors.ts';
import type { EngineSandbox } from '../engine.ts';
import type { ContainerBody } from './container-bodies.ts';
import type { DockerContext } from './context.ts';
import { segment } from './docker-client.ts';
import { labels, type Part } from './labels.ts';
import { fieldsOf, numberOf, rowsOf, textOf, type Fields } from './read-json.ts';

/** Finds our containers in the engine by their labels alone: nothing is remembered here that could be wrong. */

export interface OwnContainer {
  readonly id: string;
  readonly sandbox: string;
  readonly part: string;
  /** `created`, `running`, `exited`, ... */
  readonly state: string;
}

/**
 * Of one sandbox, or of all that this state folder has made. The oldest first, and of those the one with the name that we give:
 * whoever reads the labels of ours can put them on a container that is made later, and that one is not the sandbox.
 */
export async function ownContainers(context: DockerContext, sandbox?: string): Promise<readonly OwnContainer[]> {
  const { client, mark, effects } = context;
  const engine = await mark();
  const owners = await keeperOwners(context, sandbox);
  const label = [`${labels.engine}=${engine}`];
  const rows = rowsOf(await client.must('GET', '/containers/json', { query: { all: true, filters: JSON.stringify({ label }) } }));
  const byAge = rows.map(fieldsOf).toSorted(compareAges);
  const own = byAge.flatMap((row) => {
    const told = fieldsOf(row['Labels']);
    const found = {
      id: textOf(row['Id']),
      sandbox: owners.get(textOf(told[labels.sandbox])) ?? textOf(told[labels.sandbox]),
      part: textOf(told[labels.part]),
      state: textOf(row['State']),
    };
    // Looked at again here: what is removed by this list must be ours, whatever the engine made of the filter.
    return told[labels.engine] === engine && /^[0-9a-f]{64}$/.test(found.id) && (sandbox ?? found.sandbox) === found.sandbox
      ? [found]
      : [];
  });
  own.forEach(({ id, sandbox: whose, part }) => effects.know(id, { sandbox: whose, part }));
  return own;
}

function compareAges(one: Fields, other: Fields): number {
  const [first, second] = [one, other].map(({ Created }) => numberOf(Created) ?? Infinity);
  const isNamed = (row: Fields): boolean =>
    rowsOf(row['Names']).includes(`/casemate-${textOf(fieldsOf(row['Labels'])[labels.sandbox])}`);
  return first === second ? Number(isNamed(other)) - Number(isNamed(one)) : (first ?? Infinity) - (second ?? Infinity);
}

/** Of keepers that were made before their sandboxes: whose they are now, by the id in their label. */
async function keeperOwners({ records }: DockerContext, sandbox: string | undefined): Promise<ReadonlyMap<string, string>> {
  const rows = sandbox === undefined ? await records.all() : [await records.read(sandbox)];
  return new Map(rows.flatMap((row) => (row?.container === undefined ? [] : [[row.container, row.spec.id] as const])));
}

export async function partOf(context: DockerContext, sandbox: string, part: Part): Promise<OwnContainer | undefined> {
  return (await ownContainers(context, sandbox)).find((container) => container.part === part);
}

export function stateOf(containers: readonly OwnContainer[], sandbox: string): EngineSandbox['state'] {
  const own = containers.find((container) => container.sandbox === sandbox && container.part === 'sandbox');
  // One that somebody paused is there with all that runs in it.
  const state = own?.state === 'paused' ? 'running' : own?.state;
  return state === 'created' || state === 'running' ? state : 'stopped';
}

/** Answers its id. A warning is a refusal: the engine left something out. */
export async function makeContainer({ dialect, effects }: DockerContext, name: string, body: ContainerBody): Promise<string> {
  let warnings: readonly string[] = [];
  const id = await effects.make(async () => {
    const made = await (await dialect()).make(name, body).catch(notShown);
    ({ warnings } = made);
    return made.id;
  });
  effects.know(id, { sandbox: body.Labels[labels.sandbox] ?? '', part: body.Labels[labels.part] ?? '' });
  if (warnings.length > 0) {
    throw new CasemateError('ENGINE_FAILED', `the engine does not do all that was asked: ${warnings.join('; ').slice(0, 500)}`);
  }
  return id;
}

/** A folder of this host that the engine does not find is a folder that it does not see. */
function notShown(error: unknown): never {
  if (
    error instanceof CasemateError &&
    /bind source path does not exist|statfs .*: no such file or directory/.test(error.message)
  ) {
    throw new CasemateError('ENGINE_FAILED', `the engine does not see the folders of this host: ${error.message}`, {
      cause: error,
      hint: 'Have that folder shared with its machine at the same path (Docker Desktop: Settings, Resources, File sharing), or use one that is.',
    });
  }
  throw error;
}

export async function startContainer({ client, effects }: DockerContext, id: string): Promise<void> {
  effects.willStart(id);
  await client.must('POST', `/containers/${segment(id)}/start`);
}

export async function inspectContainer({ client }: DockerContext, id: string): Promise<unknown> {
  return client.must('GET', `/containers/${segment(id)}/json`);
}

/** With all that runs in it, at once; one that does not run is left as it is. */
export async function killContainer({ client, effects }: DockerContext, id: string): Promise<void> {
  effects.willEnd(id);
  await client.call('POST', `/containers/${segment(id)}/kill`);
}

/** With all that runs in it; one that is gone is gone. */
export async function removeContainer({ client, effects }: DockerContext, id: string): Promise<void> {
  effects.willEnd(id);
  const options = { query: { force: true, v: true } };
  const { status } = await client.call('DELETE', `/containers/${segment(id)}`, options);
  // 409: its removal is in progress
  if (status !== 200 && status !== 204 && status !== 404 && status !== 409) {
    await client.must('DELETE', `/containers/${segment(id)}`, options);
  }
}

/** Of a container that the engine takes for running, whatever its first process still does. */
export async function firstPid(context: DockerContext, id: string): Promise<number | undefined> {
  const { status, body } = await context.client.call('GET', `/containers/${segment(id)}/json`);
  return status === 200 ? firstPidIn(body) : undefined;
}

/** `told`: answer to `inspect`. */
export function firstPidIn(told: unknown): number | undefined {
  const state = fieldsOf(fieldsOf(told)['State']);
  const pid = numberOf(state['Pid']) ?? 0;
  return state['Running'] === true && pid > 1 ? pid : undefined;
}
