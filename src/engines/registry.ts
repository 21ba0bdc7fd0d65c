import { userInfo } from 'node:os';
import { join } from 'node:path';

import { baseEnvironment, type Environment } from '../system/environment.ts';
import type { Paths } from '../system/paths.ts';
import type { Engine } from './engine.ts';

/** Engines by name. A row costs nothing until its engine is chosen. */
export const engines = {
  oci: (parts) => import('./oci/engine.ts').then(({ ociEngine }) => ociEngine(ociOptions(parts))),
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

export async function engineNamed(name: EngineName, parts: EngineParts): Promise<Engine> {
  return engines[name](parts);
}

function ociOptions({ paths, env, uid, prepares }: EngineParts) {
  return {
    prepares,
    folders: { state: join(paths.state, 'engine'), run: join(paths.runtime, 'engine') },
    env: baseEnvironment(env),
    user: { uid, gid: process.getgid?.() ?? uid, name: userName(uid) },
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
