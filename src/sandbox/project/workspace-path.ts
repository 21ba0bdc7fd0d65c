import { realpathSync } from 'node:fs';
import { realpath, stat } from 'node:fs/promises';
import { dirname, sep } from 'node:path';

import { privateFolders } from '../../agents/described/private-places.ts';
import { CasemateError } from '../../base/errors.ts';
import { visible } from '../../base/text.ts';
import type { Paths } from '../../system/paths.ts';
import { isGitFolder } from '../../workspace/git-folder.ts';
import { protectedNameIn } from './protected-paths.ts';

/** Which folder a sandbox may have as its workspace: never one that holds credentials, the system, or our own state. */

/** These and everything in them. */
const systemFolders = [
  '/bin',
  '/boot',
  '/dev',
  '/etc',
  '/lib',
  '/lib64',
  '/proc',
  '/run',
  '/sbin',
  '/sys',
  '/usr',
  '/var/run',
  '/var/lib/docker',
  '/var/lib/containers',
  '/var/lib/dpkg',
];

/** These, but not what is in them. */
const topFolders = ['/', '/home', '/media', '/mnt', '/opt', '/root', '/srv', '/tmp', '/var', '/var/lib', '/var/tmp'];

/** Folders of a home that are refused with everything in them. */
const homeFolders = [...privateFolders, '.config', '.claude', '.codex'];

export interface WorkspaceBounds {
  readonly paths: Paths;
  readonly userHome: string;
  /** where programs that are run on the host are looked for */
  readonly programFolders: readonly string[];
}

/** The real path of an acceptable workspace. Throws `PATH_INVALID` with the path and the reason. */
export async function resolveWorkspace(path: string, bounds: WorkspaceBounds): Promise<string> {
  const real = await realpath(path).catch((error: unknown) => {
    throw new CasemateError('PATH_INVALID', `the workspace ${visible(path)} does not exist`, { cause: error });
  });
  if (!(await stat(real)).isDirectory()) {
    throw new CasemateError('PATH_INVALID', `the workspace ${visible(real)} is not a folder`);
  }
  const reason = placeRefusal(real, bounds);
  if (reason !== undefined) {
    throw new CasemateError('PATH_INVALID', `the workspace ${visible(real)} is refused: ${reason}`, {
      hint: 'Work in a folder of its own: cd into the project, or give --workspace PATH.',
    });
  }
  await refuseWithinProtected(real);
  refusePrograms(real, bounds);
  return real;
}

/** Where programs of the host look for what they run: a sandbox with its workspace in there would write what no other one may. */
async function refuseWithinProtected(real: string): Promise<void> {
  const name = protectedNameIn(real.replaceAll(worktree, '/')) ?? (await gitFolderAbove(real));
  if (name !== undefined) {
    throw new CasemateError(
      'PATH_INVALID',
      `the workspace ${visible(real)} is refused: it lies in ${visible(name)}, and programs of the host act on what is there by themselves`,
      { hint: 'Work in the folder of the project: give --workspace PATH.' },
    );
  }
}

/** Agents of the host put whole copies of a project there, which are no settings of theirs. */
const worktree = /\/\.(?:claude|codex|cursor|gemini)\/worktrees\/(?=[^/])/g;

/** A repository without a folder of the name `.git`. */
async function gitFolderAbove(real: string): Promise<string | undefined> {
  for (let folder = dirname(real); folder !== dirname(folder); folder = dirname(folder)) {
    // oxlint-disable-next-line no-await-in-loop -- few, and the first decides
    if (!(await isEverybodys(folder)) && (await isGitFolder(folder))) {
      return folder;
    }
  }
  return undefined;
}

/**
 * What a sandbox writes there would be run on the host, in the place of `runc` or `git`. Looked at in place: so does every
 * start of a program, with which the whole process waits.
 */
function refusePrograms(real: string, { programFolders }: WorkspaceBounds): void {
  const places = programFolders.map(realFolder);
  const inside = places.find((place) => isWithin(place, real));
  if (inside !== undefined) {
    throw new CasemateError(
      'PATH_INVALID',
      `the workspace ${visible(real)} is refused: PATH leads programs of this host to ${visible(inside)}, which lies in it`,
      { hint: 'Take that folder out of PATH and start the daemon anew: casemate daemon stop' },
    );
  }
}

function realFolder(folder: string): string {
  try {
    return realpathSync.native(folder);
  } catch {
    return folder;
  }
}

/** Why a real path must not be given to a sandbox or be written by one; `undefined`: it may. */
export function placeRefusal(real: string, { paths, userHome }: Pick<WorkspaceBounds, 'paths' | 'userHome'>): string | undefined {
  if (topFolders.includes(real)) {
    return "it is one of the system's own folders";
  }
  const system = systemFolders.find((folder) => isWithin(real, folder));
  if (system !== undefined) {
    return `it lies in ${system}`;
  }
  if (isWithin(userHome, real)) {
    return 'it holds your home folder, and with it your keys';
  }
  const hidden = homeFolders.find((folder) => isWithin(real, `${userHome}/${folder}`));
  if (hidden !== undefined) {
    return `it lies in ~/${hidden}`;
  }
  const own = [paths.state, paths.config, paths.images, paths.cache, paths.runtime].find(
    (folder) => isWithin(real, folder) || isWithin(folder, real),
  );
  return own === undefined ? undefined : `it holds or lies in casemate's own folder ${own}`;
}

/** As /tmp is: what lies there says nothing of what is below it, and is no way to keep others from their work. */
async function isEverybodys(folder: string): Promise<boolean> {
  return ((await stat(folder)).mode & 0o1002) === 0o1002;
}

function isWithin(path: string, folder: string): boolean {
  return path === folder || path.startsWith(folder.endsWith(sep) ? folder : folder + sep);
}
