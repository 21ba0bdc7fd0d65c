import { userInfo } from 'node:os';
import { join } from 'node:path';

import { baseEnvironment, type Environment } from '../system/environment.ts';
import type { Paths } from '../system/paths.ts';
import { socketPath } from './docker/socket-path.ts';
import type { Engine } from './engine.ts';
import { routedEngine } from './routed.ts';

/** Engines by name. A row costs nothing until its engine is chosen. */
export const engines = {
  oci: (parts) => import('./oci/engine.ts').then(({ ociEngine }) => ociEngine(ociOptions(parts))),
  docker: (parts) => import('./docker/engine.ts').then(({ dockerEngine }) => dockerEngine(dockerOptions(parts))),
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
    names: ['oci', 'docker'],
    engineOf,
    load: async (name) => engineNamed(name === 'docker' ? 'docker' : 'oci', parts),
  });
}

export async function engineNamed(name: EngineName, parts: EngineParts): Promise<Engine> {
  return engines[name](parts);
}

/** What other engines than ours have of an image that is removed; a line for each. Throws `ENGINE_FAILED` where one does not answer. */
export async function removeImageCopies(
  { paths, env }: Pick<EngineParts, 'paths' | 'env'>,
  digest: string,
): Promise<readonly string[]> {
  const [{ removeCopies }, { dockerClient }] = await Promise.all([
    import('./docker/remove-copies.ts'),
    import('./docker/docker-client.ts'),
  ]);
  return removeCopies(digest, { client: dockerClient(socketPath(env)), folder: join(paths.images, 'engines') });
}

/** Where an engine keeps its records. */
function sandboxesOf(state: string): string {
  return join(state, 'sandboxes');
}

function ociOptions({ paths, env, uid, prepares }: EngineParts) {
  return {
    prepares,
    beside: [sandboxesOf(join(paths.state, 'docker'))],
    folders: { state: join(paths.state, 'engine'), run: join(paths.runtime, 'engine') },
    env: baseEnvironment(env),
    user: { uid, gid: process.getgid?.() ?? uid, name: userName(uid) },
  };
}

function dockerOptions({ paths, env, uid, prepares }: EngineParts) {
  const folders = {
    state: join(paths.state, 'docker'),
    run: join(paths.runtime, 'docker'),
    images: join(paths.images, 'engines'),
  };
  return {
    folders,
    beside: [sandboxesOf(join(paths.state, 'engine'))],
    socket: socketPath(env),
    env: baseEnvironment(env),
    uid,
    prepares,
  };
}

/** Subordinate ids are listed by name or by number; an id without a name has its number. */
function userName(uid: number): string {
  try {
    return userInfo().username;
  } catch {
    return String(uid);
  }
}
