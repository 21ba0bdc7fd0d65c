/** A place for real but small image builds: own folders, packages taken from what this machine has fetched before. */
import { cp, mkdir, mkdtemp, readdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import type { BuildDeps } from '../../src/images/build-facts.ts';
import { buildImage, type BuildOptions } from '../../src/images/build.ts';
import { findRecipe, hostTarget } from '../../src/images/recipes/find-recipe.ts';
import type { RecipeChain } from '../../src/images/image.ts';
import { imageTools } from '../../src/images/tools/image-tools.ts';
import type { StoredImage } from '../../src/images/stored/open-image.ts';
import { imageStore } from '../../src/images/stored/store.ts';
import { processEnvironment } from '../../src/system/environment.ts';
import { pathsFrom } from '../../src/system/paths.ts';

export const uid = process.getuid?.() ?? 0;
export const tools = imageTools({ uid, env: processEnvironment });
const usual = pathsFrom(processEnvironment, uid);

/** One package on top of the smallest Debian. */
const tinyRecipe = `name: tiny
debian:
  packages: [jq]
files:
  - { path: /etc/tiny.conf, content: "first", mode: "0600" }
bin: { tq: /usr/bin/jq }
checks:
  - { command: [tq, --version], contains: jq-1 }
`;

export interface ImageLab {
  readonly folder: string;
  readonly deps: BuildDeps;
  /** what the builds said, in order */
  readonly lines: string[];
  readonly tinyFile: string;
  readonly tiny: () => Promise<RecipeChain>;
  readonly build: (chain: RecipeChain, options?: BuildOptions) => Promise<StoredImage>;
  readonly remove: () => Promise<void>;
}

export async function imageLab(): Promise<ImageLab> {
  const folder = await mkdtemp(join(tmpdir(), 'casemate-images-'));
  const paths = { images: join(folder, 'images'), cache: join(folder, 'cache') };
  await seed(usual.cache, paths.cache);
  const tinyFile = join(folder, 'tiny.yaml');
  await writeFile(tinyFile, tinyRecipe);
  const lines: string[] = [];
  const deps: BuildDeps = {
    paths,
    env: processEnvironment,
    uid,
    target: hostTarget(),
    progress: (line) => void lines.push(line),
  };
  return {
    folder,
    deps,
    lines,
    tinyFile,
    tiny: () => findRecipe(tinyFile, deps.target, folder),
    build: (chain, options) => buildImage(chain, deps, options),
    remove: async () => {
      await tools.run('rm', ['-rf', '--one-file-system', '--', folder]);
    },
  };
}

/** Package lists and packages that this machine has already. Copies, because another user may own them. */
export async function seed(from: string, to: string): Promise<void> {
  await mkdir(to, { recursive: true, mode: 0o700 });
  for (const name of ['debs', 'apt']) {
    if ((await readdir(join(from, name)).catch(() => [])).length > 0) {
      await cp(join(from, name), join(to, name), {
        recursive: true,
        preserveTimestamps: true,
        filter: (path) => !path.includes('.incoming'),
      });
    }
  }
}

/** The small image, built at most once on this machine for its lock. Tests must not change it. */
export async function sharedTiny(): Promise<{ image: StoredImage; deps: BuildDeps }> {
  const root = join(usual.cache, 'test-images');
  const deps: BuildDeps = {
    paths: { images: join(root, 'images'), cache: usual.cache },
    env: processEnvironment,
    uid,
    target: hostTarget(),
    progress: () => undefined,
  };
  await mkdir(deps.paths.images, { recursive: true, mode: 0o700 });
  const file = join(root, 'tiny.yaml');
  await writeFile(file, tinyRecipe);
  const chain = await findRecipe(file, deps.target, root);
  const store = imageStore({ folder: deps.paths.images });
  for (const damaged of await store.damaged()) {
    await store.remove(damaged, { tools, inUse: async () => [] });
  }
  const known = await store.lastLock('tiny').catch(() => undefined);
  const image = await buildImage(chain, deps, { locked: known !== undefined }).catch(() => buildImage(chain, deps));
  return { image, deps };
}
