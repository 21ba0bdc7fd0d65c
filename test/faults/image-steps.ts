/** Images, as steps: one is built on top of another, and removed. In a folder of images of the home's own. */
import { existsSync, readdirSync } from 'node:fs';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { run } from '../../src/system/process.ts';
import { ownAll } from './ordinary-user.ts';
import { must, succeeded, type Done, type Step } from './step.ts';
import type { Outcome, World } from './world.ts';

const recipe = `name: child
from: base
files:
  - { path: /etc/child.conf, content: "first", mode: "0644" }
checks:
  - { command: [cat, /etc/child.conf], contains: first }
`;

const foldersOf = (world: World) => ({
  images: join(world.root, 'images'),
  /** the child as it was built, to be put back */
  kept: join(world.root, 'kept'),
  file: join(world.root, 'user/child.yaml'),
});
const build = (world: World): readonly string[] => ['image', 'build', foldersOf(world).file];
const remove = ['image', 'rm', 'child', '--confirm', 'child'];
const patient = (world: World) => ({ env: { CASEMATE_IMAGES: foldersOf(world).images }, timeoutMs: 180_000 });
const ask = (world: World, args: readonly string[]): Promise<Outcome> => world.run(args, patient(world));

/** By hard links: nothing of an image is ever written to, and a whole one is large. */
async function copyFolder(from: string, to: string): Promise<void> {
  await run('cp', ['--archive', '--link', '--', from, to], { env: { PATH: '/usr/bin:/bin' }, timeoutMs: 60_000 });
}

async function folderOf(images: string, name: string): Promise<string | undefined> {
  const folders = (await readdir(images)).filter((entry) => entry.startsWith('sha256-'));
  const recipes = await Promise.all(folders.map(async (entry) => await recipeIn(join(images, entry))));
  return folders[recipes.indexOf(name)];
}

async function recipeIn(folder: string): Promise<unknown> {
  const { recipe: name } = JSON.parse(await readFile(join(folder, 'image.json'), 'utf8')) as { recipe?: unknown };
  return name;
}

/** The base in it, and one child that is kept aside. */
async function withBase(world: World): Promise<void> {
  const { images, kept, file } = foldersOf(world);
  await writeFile(file, recipe);
  await world.handOver();
  if (existsSync(kept)) {
    return;
  }
  const host = world.paths.images;
  await mkdir(images, { mode: 0o700 });
  await ownAll([images], world.user);
  const base = await folderOf(host, 'base');
  if (base === undefined) {
    throw new Error(`there is no image base in ${host}`);
  }
  await copyFolder(join(host, base), join(images, base));
  await must(world, build(world), patient(world));
  await copyFolder(join(images, (await folderOf(images, 'child')) ?? ''), kept);
}

async function dropChild(world: World): Promise<void> {
  const { images } = foldersOf(world);
  const child = await folderOf(images, 'child');
  if (child !== undefined) {
    await rm(join(images, child), { recursive: true });
  }
}

async function putChildBack(world: World): Promise<void> {
  const { images, kept } = foldersOf(world);
  if ((await folderOf(images, 'child')) === undefined) {
    const { digest } = JSON.parse(await readFile(join(kept, 'image.json'), 'utf8')) as { digest: string };
    await copyFolder(kept, join(images, digest.replace(':', '-')));
  }
}

const hasChild = ({ out }: Outcome): boolean =>
  (JSON.parse(out || '[]') as readonly { recipe: string }[]).some((row) => row.recipe === 'child');

/** What is listed is whole, what was reported is so, and the next build takes away what was left half made. */
async function imageFaults(world: World, done: Done, isThere: boolean): Promise<readonly string[]> {
  const listed = hasChild(await ask(world, ['image', 'ls', '--json']));
  const verified = listed ? await ask(world, ['image', 'verify', 'child']) : undefined;
  const before = leftovers(world);
  if (!isThere) {
    // So that the next build has nothing to make: what it sweeps is what counts.
    await putChildBack(world);
  }
  const next = await ask(world, build(world));
  const after = leftovers(world);
  const isListed = hasChild(await ask(world, ['image', 'ls', '--json']));
  return [
    ...(succeeded(done.outcomes[0]) && listed !== isThere
      ? [`it was reported, and the image is ${listed ? '' : 'not '}listed`]
      : []),
    ...(verified !== undefined && !succeeded(verified)
      ? [`an image is listed that is not whole: ${verified.out}${verified.err}`]
      : []),
    ...(succeeded(done.outcomes[0]) && isThere && before.length > 0 ? [`left although it ended well: ${before.join(' ')}`] : []),
    ...(succeeded(next) && isListed ? [] : [`the image cannot be built any more: ${next.err}`]),
    ...after.map((name) => `${name} is left after the next build`),
  ];
}

/** Beside the images that have their names, their locks and the lock of all builds. */
function leftovers(world: World): readonly string[] {
  return readdirSync(foldersOf(world).images).filter((name) => !/^(?:sha256-[0-9a-f]{64}|locks|engines|\.lock)$/.test(name));
}

export const imageSteps: readonly Step[] = [
  {
    name: 'image-build',
    role: 'caller',
    async prepare(world) {
      await withBase(world);
      await dropChild(world);
    },
    act: async (world) => [await ask(world, build(world))],
    check: async (world, done) => await imageFaults(world, done, true),
  },
  {
    name: 'image-rm',
    role: 'caller',
    async prepare(world) {
      await withBase(world);
      await putChildBack(world);
    },
    act: async (world) => [await ask(world, remove)],
    check: async (world, done) => await imageFaults(world, done, false),
  },
];
