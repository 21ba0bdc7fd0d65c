import { link, mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { CasemateError } from '../../base/errors.ts';
import { run } from '../../system/process.ts';
import { hashFile } from '../tools/hash-file.ts';
import type { Progress, PythonPackage } from '../image.ts';
import { toolFailure, type ImageTools } from '../tools/image-tools.ts';
import type { RecipeTarget } from '../recipes/recipes.ts';
import { removeTrees } from '../tools/remove-trees.ts';

/**
 * Python packages: only wheels, fetched by the user's own pip with the user's settings, checked by us, stored by hash, and
 * unpacked by pip in namespaces without a network. Nothing gets in that is not named with its hash, and no program of a package
 * runs.
 */
export interface PythonOptions {
  readonly rootfs: string;
  readonly scratch: string;
  readonly tools: ImageTools;
  readonly target: RecipeTarget;
  /** cache folder of wheels by hash */
  readonly folder: string;
  readonly progress: Progress;
  readonly signal?: AbortSignal | undefined;
}

/** Version of `python3` in each release of Debian. */
const pythons: Readonly<Record<string, string>> = { bullseye: '3.9', bookworm: '3.11', trixie: '3.13' };

/** Throws `IMAGE_BUILD_FAILED` when a wheel cannot be had, its hash is not the one pinned, or it does not fit the image. */
export async function addPython(packages: readonly PythonPackage[], options: PythonOptions): Promise<void> {
  if (packages.length === 0) {
    return;
  }
  const python = pythons[options.target.suite];
  if (python === undefined) {
    throw new CasemateError('IMAGE_BUILD_FAILED', `it is not known which Python Debian ${options.target.suite} has`);
  }
  const way: Way = { ...options, python };
  await fetchMissing(packages, way);
  await unpack(packages, way);
}

interface Way extends PythonOptions {
  readonly python: string;
}

/** A folder for each, because the name of a wheel says what it is for. */
const keptIn = (folder: string, { sha256 }: PythonPackage): string => join(folder, sha256);

async function keptWheel(folder: string, wanted: PythonPackage): Promise<string | undefined> {
  const [name] = await readdir(keptIn(folder, wanted)).catch(() => []);
  const path = name === undefined ? undefined : join(keptIn(folder, wanted), name);
  return path !== undefined && (await sha256Of(path)) === wanted.sha256 ? path : undefined;
}

async function sha256Of(path: string): Promise<string> {
  return (await hashFile(path, 'sha256')).toString('hex');
}

async function fetchMissing(packages: readonly PythonPackage[], way: Way): Promise<void> {
  const { folder, progress } = way;
  const kept = await Promise.all(packages.map((one) => keptWheel(folder, one)));
  const missing = packages.filter((_, index) => kept[index] === undefined);
  if (missing.length === 0) {
    return;
  }
  progress(`fetching ${missing.length} Python packages`);
  const incoming = join(folder, '.incoming');
  await rm(incoming, { recursive: true, force: true });
  await mkdir(incoming, { recursive: true, mode: 0o700 });
  try {
    await download(missing, incoming, way);
    const found = new Map<string, string>();
    for (const name of await readdir(incoming)) {
      // oxlint-disable-next-line no-await-in-loop -- files are read one after the other
      found.set(await sha256Of(join(incoming, name)), name);
    }
    for (const one of missing) {
      // oxlint-disable-next-line no-await-in-loop -- in order
      await keep(one, { folder, incoming, name: found.get(one.sha256) });
    }
  } finally {
    await rm(incoming, { recursive: true, force: true });
  }
}

async function keep(
  wanted: PythonPackage,
  { folder, incoming, name }: { readonly folder: string; readonly incoming: string; readonly name: string | undefined },
): Promise<void> {
  if (name?.endsWith('.whl') !== true) {
    throw new CasemateError(
      'IMAGE_BUILD_FAILED',
      `${wanted.name} ${wanted.version} has no wheel with the hash that the recipe pins`,
      {
        hint: 'Nothing of it was used. If the package was published anew, the recipe must be changed by hand.',
      },
    );
  }
  const place = keptIn(folder, wanted);
  await rm(place, { recursive: true, force: true });
  await mkdir(place, { recursive: true, mode: 0o700 });
  await rename(join(incoming, name), join(place, name));
}

/** pip checks the hashes, too, and looks for nothing but what is named. */
function requirements(packages: readonly PythonPackage[]): string {
  return packages.map(({ name, version, sha256 }) => `${name}==${version} --hash=sha256:${sha256}\n`).join('');
}

async function download(packages: readonly PythonPackage[], incoming: string, way: Way): Promise<void> {
  const { tools, signal, scratch } = way;
  await mkdir(scratch, { recursive: true });
  const list = join(scratch, 'wheels.txt');
  await writeFile(list, requirements(packages));
  const args = ['download', '--quiet', ...always, ...suits(way), '--dest', incoming, '--requirement', list];
  // Not in the caller's folder: a project has no say in where images come from.
  const result = await run('setpriv', ['--pdeathsig', 'KILL', '--', 'pip3', ...args], { cwd: incoming, env: tools.env, signal });
  if (result.exitCode !== 0) {
    throw toolFailure('pip download', result.stderr.toString('utf8'));
  }
}

const always = ['--disable-pip-version-check', '--no-input', '--no-deps', '--require-hashes', '--only-binary', ':all:'] as const;

/** The image's Python, whichever the host has: every tag of wheels that it takes on this platform, down to the oldest C library. */
function suits({ python, target: { platform } }: Way): readonly string[] {
  const machine = platform === 'x64' ? 'x86_64' : 'aarch64';
  const oldest = platform === 'x64' ? 5 : 17;
  const libraries = Array.from({ length: 37 - oldest }, (_, index) => `manylinux_2_${36 - index}`);
  const older = platform === 'x64' ? ['manylinux2014', 'manylinux2010', 'manylinux1'] : ['manylinux2014'];
  const tags = [...libraries, ...older, 'linux'].flatMap((name) => ['--platform', `${name}_${machine}`]);
  const abis = [`cp${python.replace('.', '')}`, 'abi3', 'none'].flatMap((abi) => ['--abi', abi]);
  return ['--python-version', python, '--implementation', 'cp', ...abis, ...tags];
}

/** Into the folder of the image's Python for what is not Debian's; files of packages are never written through links to other images. */
async function unpack(packages: readonly PythonPackage[], way: Way): Promise<void> {
  const { tools, scratch, rootfs, folder, python, progress } = way;
  progress(`unpacking ${packages.length} Python packages`);
  const [wheels, site] = [join(scratch, 'wheels'), join(scratch, 'site')];
  await rm(wheels, { recursive: true, force: true });
  await mkdir(wheels, { recursive: true });
  for (const one of packages) {
    // oxlint-disable-next-line no-await-in-loop -- in order
    await bring(await keptWheel(folder, one), wheels);
  }
  const list = join(scratch, 'wheels.txt');
  await writeFile(list, requirements(packages));
  const offline = { PIP_CONFIG_FILE: '/dev/null', PIP_NO_INDEX: '1', PIP_FIND_LINKS: wheels, PIP_ROOT_USER_ACTION: 'ignore' };
  const args = ['install', '--quiet', ...always, ...suits(way), '--no-compile', '--no-cache-dir', '--target', site];
  await removeTrees(tools, [site]);
  await tools.run('pip3', [...args, '--requirement', list], { isolated: true, cwd: scratch, env: offline });
  // Programs of packages name the host's Python in their first line; a recipe says which there are.
  await removeTrees(tools, [join(site, 'bin')]);
  await tools.run('chmod', ['-R', 'a-st,u=rwX,go=rX', '--', site]);
  await tools.run('chown', ['-R', '--no-dereference', `${tools.diskId(0)}:${tools.diskId(0)}`, '--', site]);
  const place = join(rootfs, 'usr/local/lib', `python${python}`, 'dist-packages');
  await tools.run('install', ['-d', '-m', '0755', '-o', String(tools.diskId(0)), '-g', String(tools.diskId(0)), place]);
  await tools.run('cp', ['--archive', '--remove-destination', '--no-target-directory', '--', site, place]);
}

async function bring(wheel: string | undefined, wheels: string): Promise<void> {
  if (wheel === undefined) {
    throw new CasemateError('IMAGE_BUILD_FAILED', 'a wheel that was fetched is not whole any more', { hint: 'Build again.' });
  }
  await link(wheel, join(wheels, wheel.slice(wheel.lastIndexOf('/') + 1)));
}
