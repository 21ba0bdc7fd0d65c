import { mkdir, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';

import { CasemateError } from '../../base/errors.ts';
import { run } from '../../system/process.ts';
import { hashFile } from '../tools/hash-file.ts';
import type { NpmPackage, Progress } from '../image.ts';
import { toolFailure, type ImageTools } from '../tools/image-tools.ts';

/**
 * npm packages: fetched by the user's own npm with the user's settings, checked by us, stored by hash. No script of a package
 * runs.
 */

export interface NpmOptions {
  /** cache folder of tarballs by hash */
  readonly folder: string;
  readonly tools: ImageTools;
  readonly progress: Progress;
  readonly signal?: AbortSignal | undefined;
}

/** The path of the tarball. Throws `IMAGE_BUILD_FAILED` when it cannot be had or its hash is not the one pinned. */
export async function fetchNpm(wanted: NpmPackage, options: NpmOptions): Promise<string> {
  const { folder, progress } = options;
  const kept = join(folder, `${integrityHex(wanted.integrity)}.tgz`);
  if (await isWhole(kept, wanted.integrity)) {
    return kept;
  }
  progress(`fetching ${wanted.name} ${wanted.version} from npm`);
  const incoming = join(folder, '.incoming');
  await rm(incoming, { recursive: true, force: true });
  await mkdir(incoming, { recursive: true });
  try {
    const file = await pack(wanted, incoming, options);
    if (!(await isWhole(file, wanted.integrity))) {
      throw new CasemateError(
        'IMAGE_BUILD_FAILED',
        `${wanted.name} ${wanted.version} from npm has another hash than the recipe pins`,
        {
          hint: 'Nothing of it was used. If the package was published anew, the recipe must be changed by hand.',
        },
      );
    }
    await rename(file, kept);
    return kept;
  } finally {
    await rm(incoming, { recursive: true, force: true });
  }
}

async function pack({ name, version }: NpmPackage, incoming: string, { tools, signal }: NpmOptions): Promise<string> {
  const args = [
    'pack',
    `${name}@${version}`,
    '--pack-destination',
    incoming,
    '--ignore-scripts',
    '--prefer-offline',
    '--loglevel=error',
    '--update-notifier=false',
  ];
  // Not in the caller's folder: a project's .npmrc has no say in where images come from.
  const result = await run('setpriv', ['--pdeathsig', 'KILL', '--', 'npm', ...args], { cwd: incoming, env: tools.env, signal });
  const [file, ...more] = (await readdir(incoming)).filter((each) => each.endsWith('.tgz'));
  if (result.exitCode !== 0 || file === undefined || more.length > 0) {
    throw toolFailure(`npm pack ${name}@${version}`, result.stderr.toString('utf8'));
  }
  return join(incoming, file);
}

async function isWhole(path: string, integrity: string): Promise<boolean> {
  const present = await stat(path).then(
    (stats) => stats.isFile(),
    () => false,
  );
  return present && (await hashFile(path, 'sha512')).toString('hex') === integrityHex(integrity);
}

export function integrityHex(integrity: string): string {
  return Buffer.from(integrity.slice('sha512-'.length), 'base64').toString('hex');
}
