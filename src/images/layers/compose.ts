import { lstat, mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import { CasemateError } from '../../base/errors.ts';
import { isErrno } from '../../system/files.ts';
import type { NpmPackage, Recipe, RecipeFile } from '../image.ts';
import type { ImageTools } from '../tools/image-tools.ts';
import { removeTrees } from '../tools/remove-trees.ts';

/** What a recipe adds on top of a finished root file system: npm packages, files, links. Shared files are never written to. */

export interface Layer {
  readonly rootfs: string;
  readonly scratch: string;
  readonly tools: ImageTools;
}

const moduleFolder = '/usr/local/lib/node_modules';

/** `tarball` gives the checked file of a package. Throws `IMAGE_BUILD_FAILED`. */
export async function addRecipe(
  recipe: Recipe,
  layer: Layer,
  tarball: (npmPackage: NpmPackage) => Promise<string>,
): Promise<void> {
  for (const npmPackage of recipe.npm) {
    // oxlint-disable-next-line no-await-in-loop -- in order
    await addPackage(npmPackage, await tarball(npmPackage), layer);
  }
  for (const file of recipe.files) {
    // oxlint-disable-next-line no-await-in-loop -- in order
    await addFile(file, layer);
  }
  for (const [name, target] of Object.entries(recipe.bin)) {
    // oxlint-disable-next-line no-await-in-loop -- in order
    await addLink(name, target, layer);
  }
  // Two recipes are two images, even where the second adds nothing.
  await addFile({ path: '/usr/lib/casemate/recipe', content: `${recipe.name}\n`, mode: 0o644 }, layer);
}

async function addPackage(npmPackage: NpmPackage, tarball: string, layer: Layer): Promise<void> {
  const { tools } = layer;
  const path = `${moduleFolder}/${npmPackage.folder ?? npmPackage.name}`;
  await makeParents(path, layer);
  const target = join(layer.rootfs, path);
  await removeTrees(tools, [target]);
  await tools.run('mkdir', ['--', target]);
  await tools.run('tar', [
    '--extract',
    '--gzip',
    '--file',
    tarball,
    '--directory',
    target,
    '--strip-components=1',
    '--no-same-owner',
    '--no-same-permissions',
  ]);
  await tools.run('chmod', ['-R', 'a-st,u=rwX,go=rX', '--', target]);
  await tools.run('chown', ['-R', '--no-dereference', rootOwner(tools), '--', target]);
}

async function addFile({ path, content, mode }: RecipeFile, layer: Layer): Promise<void> {
  const { tools, scratch, rootfs } = layer;
  await makeParents(path, layer);
  await refuseFolder(path, layer);
  await mkdir(scratch, { recursive: true });
  const source = join(scratch, 'file');
  await writeFile(source, content);
  const id = String(tools.diskId(0));
  // `install` removes what was there first, so a file shared with another image keeps its content.
  await tools.run('install', [
    '-m',
    mode.toString(8).padStart(4, '0'),
    '-o',
    id,
    '-g',
    id,
    '--no-target-directory',
    source,
    join(rootfs, path),
  ]);
}

async function addLink(name: string, target: string, layer: Layer): Promise<void> {
  const { tools, rootfs } = layer;
  const stats = await lstat(join(rootfs, target)).catch(() => undefined);
  if (stats === undefined || stats.isDirectory()) {
    throw new CasemateError('IMAGE_BUILD_FAILED', `the program ${target} for "${name}" is not in the image`);
  }
  const path = `/usr/local/bin/${name}`;
  await makeParents(path, layer);
  await refuseFolder(path, layer);
  await tools.run('ln', ['--symbolic', '--force', '--no-target-directory', '--', target, join(rootfs, path)]);
  await tools.run('chown', ['--no-dereference', rootOwner(tools), '--', join(rootfs, path)]);
}

function rootOwner(tools: ImageTools): string {
  return `${tools.diskId(0)}:${tools.diskId(0)}`;
}

/**
 * Makes the folders above `path`. A symbolic link among them is refused: read on the host, an absolute one would lead
 * out of the image.
 */
async function makeParents(path: string, { rootfs, tools }: Layer): Promise<void> {
  const parts = dirname(path)
    .split('/')
    .filter((part) => part !== '');
  let current = '';
  for (const part of parts) {
    current = `${current}/${part}`;
    // oxlint-disable-next-line no-await-in-loop -- from the top down
    const stats = await lstatIfPresent(join(rootfs, current));
    if (stats === undefined) {
      const id = String(tools.diskId(0));
      // oxlint-disable-next-line no-await-in-loop -- in order
      await tools.run('install', ['-d', '-m', '0755', '-o', id, '-g', id, join(rootfs, current)]);
    } else if (!stats.isDirectory()) {
      throw new CasemateError('IMAGE_BUILD_FAILED', `${path} cannot be added: ${current} is not a folder in the image`, {
        hint: stats.isSymbolicLink() ? 'It is a symbolic link; name the folder it leads to.' : undefined,
      });
    }
  }
}

async function refuseFolder(path: string, { rootfs }: Layer): Promise<void> {
  if ((await lstatIfPresent(join(rootfs, path)))?.isDirectory() === true) {
    throw new CasemateError('IMAGE_BUILD_FAILED', `${path} cannot be added: it is a folder in the image`);
  }
}

async function lstatIfPresent(path: string) {
  try {
    return await lstat(path);
  } catch (error) {
    if (isErrno(error, 'ENOENT')) {
      return undefined;
    }
    throw error;
  }
}
