import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';

import { CasemateError } from '../base/errors.ts';
import { visible } from '../base/text.ts';
import type { Environment } from './environment.ts';

/**
 * Where this program keeps things (XDG Base Directory Specification 0.8). `CASEMATE_HOME` puts everything under one root;
 * `CASEMATE_IMAGES` puts the images elsewhere, for example on a larger disk.
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

/** Throws `PATH_INVALID` where one of our own variables is no absolute path: the daemon does not run in the caller's folder. */
export function pathsFrom(env: Environment, uid: number): Paths {
  const home = env.get('HOME') ?? homedir();
  const root = absolute(env, 'CASEMATE_HOME');
  const givenImages = absolute(env, 'CASEMATE_IMAGES');
  // Not from the environment: whoever runs a sandbox must not be able to point away from it.
  const organisation = '/etc/casemate/policy.yaml';
  if (root !== undefined) {
    return {
      config: join(root, 'config'),
      state: join(root, 'state'),
      images: givenImages ?? join(root, 'images'),
      cache: join(root, 'cache'),
      runtime: join(root, 'run'),
      organisation,
    };
  }
  const xdg = (name: string, fallback: string): string => join(specified(env, name) ?? join(home, fallback), 'casemate');
  return {
    config: xdg('XDG_CONFIG_HOME', '.config'),
    state: xdg('XDG_STATE_HOME', '.local/state'),
    images: givenImages ?? join(xdg('XDG_DATA_HOME', '.local/share'), 'images'),
    cache: xdg('XDG_CACHE_HOME', '.cache'),
    runtime: runtimeFolder(env, uid, home),
    organisation,
  };
}

function runtimeFolder(env: Environment, uid: number, home: string): string {
  const given = specified(env, 'XDG_RUNTIME_DIR');
  if (given !== undefined) {
    return join(given, 'casemate');
  }
  return uid === 0 ? '/run/casemate' : join(home, '.local/state/casemate/run');
}

function absolute(env: Environment, name: string): string | undefined {
  const value = env.get(name);
  if (value !== undefined && !isAbsolute(value)) {
    throw new CasemateError('PATH_INVALID', `${name} is "${visible(value)}", which is no absolute path`, {
      hint: `Write it from / on, or unset ${name}.`,
    });
  }
  return value;
}

/** One that is relative counts as absent: the specification says so. */
function specified(env: Environment, name: string): string | undefined {
  const value = env.get(name);
  return value !== undefined && isAbsolute(value) ? value : undefined;
}
