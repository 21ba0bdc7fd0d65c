import { homedir } from 'node:os';
import { join } from 'node:path';

import type { Environment } from './environment.ts';

/**
 * Where this program keeps things (XDG Base Directory Specification 0.8). `CASEMATE_HOME` puts all under one root,
 * `CASEMATE_IMAGES` the images elsewhere, e.g. on a larger disk.
 */
export interface Paths {
  /** user's policy and settings */
  readonly config: string;
  /** state file, journal, sandboxes: lost work if deleted */
  readonly state: string;
  /** images by digest */
  readonly images: string;
  /** downloads and partial builds: may be deleted at any time */
  readonly cache: string;
  /** sockets and mount stages: gone after a reboot */
  readonly runtime: string;
  /** organisation's policy, written by the administrator */
  readonly organisation: string;
}

export function pathsFrom(env: Environment, uid: number): Paths {
  const home = env.get('HOME') ?? homedir();
  const root = env.get('CASEMATE_HOME');
  // Not from the environment: whoever runs a sandbox must not be able to point away from it.
  const organisation = '/etc/casemate/policy.yaml';
  if (root !== undefined) {
    return {
      config: join(root, 'config'),
      state: join(root, 'state'),
      images: env.get('CASEMATE_IMAGES') ?? join(root, 'images'),
      cache: join(root, 'cache'),
      runtime: join(root, 'run'),
      organisation,
    };
  }
  const xdg = (name: string, fallback: string): string => join(env.get(name) ?? join(home, fallback), 'casemate');
  return {
    config: xdg('XDG_CONFIG_HOME', '.config'),
    state: xdg('XDG_STATE_HOME', '.local/state'),
    images: env.get('CASEMATE_IMAGES') ?? join(xdg('XDG_DATA_HOME', '.local/share'), 'images'),
    cache: xdg('XDG_CACHE_HOME', '.cache'),
    runtime: runtimeFolder(env, uid, home),
    organisation,
  };
}

function runtimeFolder(env: Environment, uid: number, home: string): string {
  const given = env.get('XDG_RUNTIME_DIR');
  if (given !== undefined) {
    return join(given, 'casemate');
  }
  return uid === 0 ? '/run/casemate' : join(home, '.local/state/casemate/run');
}
