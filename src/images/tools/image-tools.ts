import { access, constants } from 'node:fs/promises';
import { join } from 'node:path';

import { CasemateError } from '../../base/errors.ts';
import { visible } from '../../base/text.ts';
import { baseEnvironment, type Environment } from '../../system/environment.ts';
import { run, type RunOptions, type RunResult } from '../../system/process.ts';

/**
 * Host programs with power over all files of an image. Root runs them directly; an ordinary user runs them in a user namespace
 * with the subordinate ids. Each dies with this process, so a killed build leaves nothing running.
 */
export interface ImageTools {
  readonly mode: 'root' | 'user';
  /** Runs to the end. Throws `IMAGE_BUILD_FAILED` with the program's last line unless it exits 0 (or `anyExit`). */
  readonly run: (file: string, args: readonly string[], options?: ToolOptions) => Promise<RunResult>;
  /** What an argument list must begin with to run so. */
  readonly prefix: (options?: { readonly isolated?: boolean | undefined }) => readonly [string, ...string[]];
  readonly env: Readonly<Record<string, string>>;
  /** The id that stands on disk, seen by these programs, for an id of the image. */
  readonly diskId: (imageId: number) => number;
  readonly imageId: (diskId: number) => number;
}

export interface ToolOptions extends Omit<RunOptions, 'env' | 'uid' | 'gid'> {
  readonly env?: Readonly<Record<string, string>> | undefined;
  /** in namespaces of its own, without a network */
  readonly isolated?: boolean | undefined;
  readonly anyExit?: boolean | undefined;
}

/** Any moment in the past does: what packages write of the time must not differ between builds. */
const sourceDateEpoch = '1700000000';
const isolation = ['--mount', '--net', '--pid', '--ipc', '--uts', '--fork', '--kill-child'];

export function imageTools({
  uid,
  env,
  signal,
}: {
  uid: number;
  env: Environment;
  signal?: AbortSignal | undefined;
}): ImageTools {
  const mode = uid === 0 ? 'root' : 'user';
  const toolEnv = toolEnvironment(env);
  const prefix = ({ isolated = false }: { isolated?: boolean | undefined } = {}): readonly [string, ...string[]] => {
    const namespaces = [...(mode === 'user' ? ['--user', '--map-root-user', '--map-auto'] : []), ...(isolated ? isolation : [])];
    return ['setpriv', '--pdeathsig', 'KILL', '--', ...(namespaces.length === 0 ? [] : ['unshare', ...namespaces, '--'])];
  };
  return {
    mode,
    prefix,
    env: toolEnv,
    async run(file, args, { isolated, anyExit = false, env: extra, ...options } = {}) {
      const [first, ...before] = prefix({ isolated });
      const result = await run(first, [...before, file, ...args], {
        maxOutputBytes: 256 * 1024 * 1024,
        signal,
        ...options,
        env: { ...toolEnv, ...extra },
      });
      if (result.exitCode !== 0 && !anyExit) {
        throw toolFailure(file, result.stderr.toString('utf8'));
      }
      return result;
    },
    diskId: (imageId) => (mode === 'root' ? imageId : userDiskId(imageId)),
    imageId: (diskId) => (mode === 'root' ? diskId : userImageId(diskId)),
  };
}

/**
 * In a rootless sandbox 1000 is the caller (0 in the namespace here) and 0 to 999 are the first subordinate ids, so
 * that no id of a sandbox is root of anything. The files lie on disk the same way.
 */
function userDiskId(imageId: number): number {
  return imageId < 1000 ? imageId + 1 : imageId === 1000 ? 0 : imageId;
}

function userImageId(diskId: number): number {
  return diskId === 0 ? 1000 : diskId <= 1000 ? diskId - 1 : diskId;
}

const proxyVariable =
  /^(?:(?:https?|ftp|all|no)_proxy|npm_config_.*|pip_.*|node_extra_ca_certs|ssl_cert_(?:file|dir)|apt_config)$/i;

function toolEnvironment(env: Environment): Record<string, string> {
  const base = baseEnvironment(env);
  const own: Record<string, string> = {};
  for (const name of env.names()) {
    const value = proxyVariable.test(name) ? env.get(name) : undefined;
    if (value !== undefined) {
      own[name] = value;
    }
  }
  const path = `${base['PATH'] ?? ''}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin`;
  return {
    ...base,
    ...own,
    PATH: path,
    LC_ALL: 'C.UTF-8',
    DEBIAN_FRONTEND: 'noninteractive',
    SOURCE_DATE_EPOCH: sourceDateEpoch,
  };
}

/** One line out of a program's complaint, without the addresses of package sources. */
export function toolFailure(file: string, stderr: string): CasemateError {
  const lines = stderr
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
  if (/no space left on device|enough free space|disk quota exceeded/i.test(stderr)) {
    return diskFull();
  }
  if (/newuidmap|newgidmap|no line matching user/i.test(stderr)) {
    return new CasemateError('TOOL_MISSING', 'this user has no subordinate ids to build images with', {
      hint: 'Install uidmap, and have an administrator give the user 65536 ids that nobody else has (see /etc/subuid): usermod --add-subuids FIRST-LAST --add-subgids FIRST-LAST USER',
    });
  }
  // apt, dpkg and mmdebstrap say the cause first and then, layer by layer, that something failed.
  const cause = lines.find((line) => /^(?:E:|dpkg(?:-deb)?: error)/.test(line) && !line.endsWith('failed to run'));
  const telling = cause ?? lines.findLast((line) => /error/i.test(line)) ?? lines.at(-1) ?? 'it said nothing';
  return new CasemateError('IMAGE_BUILD_FAILED', `${file} failed: ${withoutAddresses(visible(telling))}`);
}

export function diskFull(cause?: unknown): CasemateError {
  return new CasemateError('IMAGE_BUILD_FAILED', 'the disk is full', {
    cause,
    hint: 'An image needs about 2 GB, its downloads 500 MB. Free space (casemate image rm) and build again.',
  });
}

/** Addresses of package sources belong to the host's configuration: they may hold names and passwords. */
export function withoutAddresses(text: string): string {
  return text.replace(/[a-z][a-z0-9+]*:\/\/\S+/gi, '<package source>');
}

const debianPackages: Readonly<Record<string, string>> = {
  mmdebstrap: 'mmdebstrap',
  'apt-get': 'apt',
  'apt-cache': 'apt',
  'dpkg-deb': 'dpkg',
  unshare: 'util-linux',
  setpriv: 'util-linux',
  flock: 'util-linux',
  newuidmap: 'uidmap',
  npm: 'npm',
};

/** Throws one `TOOL_MISSING` that names all programs the `PATH` lacks, and what to install. */
export async function requirePrograms(names: readonly string[], env: Readonly<Record<string, string>>): Promise<void> {
  const folders = (env['PATH'] ?? '').split(':').filter((folder) => folder !== '');
  const found = await Promise.all(names.map(async (name) => (await isOnPath(name, folders)) || undefined));
  const missing = names.filter((_, index) => found[index] === undefined);
  if (missing.length > 0) {
    const install = [...new Set(missing.map((name) => debianPackages[name] ?? name))].join(' ');
    throw new CasemateError('TOOL_MISSING', `building images needs ${missing.join(', ')}`, {
      hint: `Run: apt-get install ${install}`,
    });
  }
}

async function isOnPath(name: string, folders: readonly string[]): Promise<boolean> {
  for (const folder of folders) {
    try {
      // oxlint-disable-next-line no-await-in-loop -- the first hit ends the search
      await access(join(folder, name), constants.X_OK);
      return true;
    } catch {
      continue;
    }
  }
  return false;
}
