import { realpath } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { join } from 'node:path';

import { engineNames, isEngineName, type PlannedEngine } from '../base/engine-names.ts';
import { toCasemateError } from '../base/errors.ts';
import { baseEnvironment, type Environment } from '../system/environment.ts';
import type { Paths } from '../system/paths.ts';
import { dockerPlaces } from './docker/place/docker-places.ts';
import { elsewhereWay, forcedElsewhere, kernelVariable } from './docker/kernel/elsewhere.ts';
import { choiceIn, chosen, chosenPlace, type Place } from './docker/place/places.ts';
import { podmanPlaces } from './docker/place/podman-places.ts';
import { forcedUplink, uplinkVariable, uplinkWay } from './docker/uplink/forced.ts';
import type { Engine } from './engine.ts';
import type { EngineChoice } from './engine-choice.ts';
import { routedEngine } from './routed.ts';

/** Engines by name. A row costs nothing until its engine is chosen. */
export const engines = {
  oci: (parts) => import('./oci/engine.ts').then(({ ociEngine }) => ociEngine(ociOptions(parts))),
  docker: (parts) => import('./docker/engine.ts').then(({ dockerEngine }) => dockerEngine(containerOptions(parts, 'docker'))),
  podman: (parts) => import('./docker/engine.ts').then(({ dockerEngine }) => dockerEngine(containerOptions(parts, 'podman'))),
  memory: () => import('./memory.ts').then(({ memoryEngine }) => memoryEngine()),
} as const satisfies Record<string, (parts: EngineParts) => Promise<Engine>>;

export type EngineName = keyof typeof engines;

/** What an engine is made from; each takes its part. */
export interface EngineParts {
  readonly paths: Paths;
  readonly env: Environment;
  readonly uid: number;
  /** for the one process that makes sandboxes here: parts for the next one are made ahead */
  readonly prepares?: boolean | undefined;
}

/** Those a sandbox can be planned for, as one: `engineOf` says which plan says which. */
export function plannedEngines(parts: EngineParts, engineOf: (id: string) => string | undefined): Engine {
  return routedEngine({
    names: engineNames,
    engineOf,
    load: async (name) => engineNamed(isEngineName(name) ? name : 'oci', parts),
  });
}

export async function engineNamed(name: EngineName, parts: EngineParts): Promise<Engine> {
  return engines[name](parts);
}

/**
 * What other engines than ours have of an image that is removed; a line for each. One that does not answer is told of where a copy
 * is left.
 */
export async function removeImageCopies(
  { paths, env, uid }: Pick<EngineParts, 'paths' | 'env' | 'uid'>,
  digest: string,
): Promise<readonly string[]> {
  const [{ hasCopies, removeCopies }, { dockerClient }] = await Promise.all([
    import('./docker/remove-copies.ts'),
    import('./docker/docker-client.ts'),
  ]);
  const folder = join(paths.images, 'engines');
  const rows = await Promise.allSettled(
    (['docker', 'podman'] as const).map(async (name) => {
      const client = dockerClient(async () => chosen(await placesOf(name, { env, uid })), { env: engineEnvironment(env) });
      return removeCopies(digest, { client, folder });
    }),
  );
  const said = rows.flatMap((row) => (row.status === 'fulfilled' ? row.value : []));
  const faults = (await hasCopies(digest, folder)) ? rows.filter((row) => row.status === 'rejected') : [];
  return [...said, ...faults.map(({ reason }) => `a copy of it in an engine may stay: ${toCasemateError(reason).message}`)];
}

/** Below the state folder: what an engine keeps. */
const folders: Readonly<Record<PlannedEngine, string>> = { oci: 'engine', podman: 'podman', docker: 'docker' };

/** Where the other engines keep their records. */
function recordsBeside(name: PlannedEngine, { state }: Paths): readonly string[] {
  return engineNames.filter((one) => one !== name).map((one) => join(state, folders[one], 'sandboxes'));
}

function ociOptions({ paths, env, uid, prepares }: EngineParts) {
  return {
    prepares,
    beside: recordsBeside('oci', paths),
    folders: { state: join(paths.state, folders.oci), run: join(paths.runtime, folders.oci) },
    env: baseEnvironment(env),
    user: { uid, gid: process.getgid?.() ?? uid, name: userName(uid) },
  };
}

/** Of the engines that ask another program on this host for containers. */
export function containerOptions({ paths, env, uid, prepares }: EngineParts, name: 'docker' | 'podman') {
  const places = async (): Promise<readonly Place[]> => placesOf(name, { env, uid });
  // Asked when it is needed: an engine that nobody uses may be named as it likes. Once: whoever chooses another context
  // meanwhile has the sandboxes where they are.
  const found = onceChosen(places);
  return {
    name,
    folders: {
      state: join(paths.state, folders[name]),
      run: join(paths.runtime, folders[name]),
      images: join(paths.images, 'engines'),
    },
    beside: recordsBeside(name, paths),
    socket: async () => chosen(await found()),
    choice: async () => choiceOf(name, env, await found()),
    uplink: name === 'docker' ? usable(() => forcedUplink(env)) : undefined,
    isElsewhere: name === 'docker' && usable(() => forcedElsewhere(env)) === true,
    places,
    env: engineEnvironment(env),
    uid,
    prepares,
  };
}

/** To which engine an environment leads; of those that no other program serves, `undefined`. */
export async function engineChoice(
  name: PlannedEngine,
  parts: Pick<EngineParts, 'env' | 'uid'>,
): Promise<EngineChoice | undefined> {
  return name === 'oci' ? undefined : choiceOf(name, parts.env, await placesOf(name, parts));
}

async function placesOf(name: 'docker' | 'podman', { env, uid }: Pick<EngineParts, 'env' | 'uid'>): Promise<readonly Place[]> {
  if (name === 'podman') {
    return podmanPlaces(env, uid);
  }
  for (const [strategy, read] of [[uplinkVariable, forcedUplink] as const, [kernelVariable, forcedElsewhere] as const]) {
    try {
      read(env);
    } catch (error) {
      // A word that is not known names no engine, and is told as one that cannot be used.
      return [{ strategy, found: toCasemateError(error) }];
    }
  }
  return dockerPlaces(env);
}

async function choiceOf(name: 'docker' | 'podman', env: Environment, places: readonly Place[]): Promise<EngineChoice> {
  const [uplink, isElsewhere] = name === 'docker' ? [usable(() => forcedUplink(env)), usable(() => forcedElsewhere(env))] : [];
  const ways = [...(uplink === undefined ? [] : [uplinkWay(uplink)]), ...(isElsewhere === true ? [elsewhereWay] : [])];
  const found = chosenPlace(places)?.found;
  // /var/run is a link to /run: both names are the same socket's.
  const socket =
    found !== undefined && 'kind' in found && found.kind === 'unix' ? await realpath(found.path).catch(() => '') : '';
  return { ...choiceIn(places), ...(socket === '' ? {} : { key: socket }), ...(ways.length > 0 ? { way: ways.join('; ') } : {}) };
}

/** None where the word is not known: then there is no engine that would use it. */
function usable<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}

/** Those that lead to an engine are kept; until some do, they are looked for anew. */
function onceChosen(find: () => Promise<readonly Place[]>): () => Promise<readonly Place[]> {
  let kept: readonly Place[] | undefined;
  return async () => {
    const places = kept ?? (await find());
    const found = chosenPlace(places)?.found;
    kept = found === undefined || found instanceof Error ? undefined : places;
    return places;
  };
}

/** `ssh` to an engine elsewhere finds keys with the caller's agent. */
function engineEnvironment(env: Environment): Record<string, string> {
  const agent = env.get('SSH_AUTH_SOCK');
  return { ...baseEnvironment(env), ...(agent === undefined ? {} : { SSH_AUTH_SOCK: agent }) };
}

/** Subordinate ids are listed by name or by number; an id without a name has its number. */
function userName(uid: number): string {
  try {
    return userInfo().username;
  } catch {
    return String(uid);
  }
}
