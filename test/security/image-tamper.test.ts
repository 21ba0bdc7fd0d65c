/** A stored image that was changed is not used: neither its record nor its lock nor its name can be swapped unnoticed (G25, LIF-11). */
import { mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';

import { afterEach, beforeEach, expect, test } from 'vitest';

import { builtinChain, hostTarget, recipeDigest } from '../../src/images/recipes/find-recipe.ts';
import { imageTools } from '../../src/images/tools/image-tools.ts';
import { textDigest } from '../../src/images/stored/image-record.ts';
import { lockDigest, type Lock } from '../../src/images/stored/lock.ts';
import { removable } from '../../src/images/remove-image.ts';
import type { StoredImage } from '../../src/images/stored/open-image.ts';
import { imageStore, type LocalImageStore } from '../../src/images/stored/store.ts';
import { environmentOf } from '../../src/system/environment.ts';

const target = hostTarget();
const digest = (letter: string): string => `sha256:${letter.repeat(64)}`;
let folder: string;
let store: LocalImageStore;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'casemate-store-'));
  store = imageStore({ folder, target });
});

afterEach(() => rm(folder, { recursive: true, force: true }));

async function stored(letter: string, options: { readonly createdAt: string; readonly suite?: string }): Promise<StoredImage> {
  const chain = builtinChain('claude', { ...target, suite: options.suite ?? target.suite });
  const lock: Lock = { format: 1, recipe: 'claude', recipeDigest: recipeDigest(chain), ...target, debian: [], npm: [] };
  const built = join(folder, `.build-${letter}`);
  await mkdir(join(built, 'rootfs'), { recursive: true });
  const bom = '{}\n';
  return store.add(built, {
    record: {
      format: 1,
      digest: digest(letter),
      recipe: 'claude',
      recipeDigest: recipeDigest(chain),
      builtin: true,
      chain: [...chain],
      createdAt: options.createdAt,
      bytes: 1,
      lockDigest: lockDigest(lock),
      bomDigest: textDigest(bom),
      mode: 'root',
    },
    lock,
    bom,
    manifest: '',
  });
}

test('the newest image of the present recipe is found, by name and by digest', async () => {
  await stored('a', { createdAt: '2026-01-01T00:00:00.000Z' });
  const newer = await stored('b', { createdAt: '2026-01-02T00:00:00.000Z' });
  expect((await store.find('claude'))?.digest).toBe(newer.digest);
  expect((await store.need('bbbbbb')).digest).toBe(newer.digest);
  expect((await store.need(digest('a'))).digest).toBe(digest('a'));
  await expect(store.need('claud')).rejects.toMatchObject({ code: 'RECIPE_INVALID', hint: 'Did you mean claude?' });
});

test('an image of a recipe that has changed since is listed as such and never found', async () => {
  const old = await stored('a', { createdAt: '2026-01-01T00:00:00.000Z', suite: 'buster' });
  expect(old.current).toBe(false);
  expect(await store.find('claude')).toBeUndefined();
  expect((await store.list()).map((image) => image.current)).toEqual([false]);
});

test.each([
  ['image.json', (text: string) => text.replace('"bytes": 1', '"bytes": 2')],
  ['image.json', (text: string) => text.slice(0, 100)],
  [
    'lock.json',
    (text: string) => text.replace('"npm":[]', '"npm":[{"name":"x","version":"1","integrity":"sha512-","folder":"x"}]'),
  ],
  ['lock.json', (text: string) => text.replace(target.suite, 'other')],
  ['bom.json', () => '{"components":[]}\n'],
])('a changed %s is refused', async (name, change) => {
  const image = await stored('a', { createdAt: '2026-01-01T00:00:00.000Z' });
  const path = join(image.folder, name);
  await writeFile(path, change(await readFile(path, 'utf8')));
  await expect(store.find('claude')).rejects.toMatchObject({ code: 'IMAGE_CORRUPT', message: expect.stringContaining(folder) });
});

test('an image moved under the name of another is refused', async () => {
  const image = await stored('a', { createdAt: '2026-01-01T00:00:00.000Z' });
  await rename(image.folder, join(folder, `sha256-${'b'.repeat(64)}`));
  await expect(store.find('claude')).rejects.toMatchObject({ code: 'IMAGE_CORRUPT' });
  await expect(store.need('bbbbbb')).rejects.toMatchObject({ code: 'IMAGE_CORRUPT' });
});

test('a damaged image does not bring an older one of its recipe back, does not touch other recipes, and can be removed', async () => {
  await stored('a', { createdAt: '2026-01-01T00:00:00.000Z' });
  const newer = await stored('b', { createdAt: '2026-01-02T00:00:00.000Z' });
  await writeFile(join(newer.folder, 'bom.json'), '{}');
  await expect(store.find('claude')).rejects.toMatchObject({
    code: 'IMAGE_CORRUPT',
    hint: expect.stringContaining('casemate image rm bbbbbbbbbbbb'),
  });
  expect(await store.find('base')).toBeUndefined();
  const tools = imageTools({ uid: process.getuid?.() ?? 0, env: environmentOf(process.env) });
  await store.remove(await removable(store, 'bbbbbb'), { tools, inUse: async () => [] });
  expect((await store.find('claude'))?.digest).toBe(digest('a'));
});

test('an image that is removed or replaced while it is looked at is not taken for a changed one', async () => {
  const image = await stored('a', { createdAt: '2026-01-01T00:00:00.000Z' });
  const aside = join(folder, '.build-removed');
  const moved = new AbortController();
  const moving = (async (): Promise<void> => {
    for (let round = 0; round < 400; round += 1) {
      await rename(image.folder, aside);
      await rename(aside, image.folder);
    }
  })().finally(() => moved.abort());
  const found: unknown[] = [];
  while (!moved.signal.aborted) {
    found.push(...(await store.damaged()));
    // Where nothing is there at that moment, nothing was waited for: the one that moves it needs a turn.
    await nextTurn();
  }
  await moving;
  expect(found).toEqual([]);
  expect((await store.find('claude'))?.digest).toBe(image.digest);
});

test('a build of the same digest replaces what was stored under it', async () => {
  const image = await stored('a', { createdAt: '2026-01-01T00:00:00.000Z' });
  await writeFile(join(image.rootfs, 'planted'), '');
  const again = await stored('a', { createdAt: '2026-01-02T00:00:00.000Z' });
  expect([again.digest, await readdir(again.rootfs)]).toEqual([image.digest, []]);
});

test('an image that a sandbox uses is not removed; a removed one leaves its lock', async () => {
  const image = await stored('a', { createdAt: '2026-01-01T00:00:00.000Z' });
  const tools = imageTools({ uid: process.getuid?.() ?? 0, env: environmentOf(process.env) });
  await expect(store.remove(image, { tools, inUse: async () => ['work'] })).rejects.toMatchObject({
    code: 'SANDBOX_WRONG_STATE',
    message: 'the image claude is used by work',
  });
  await store.remove(image, { tools, inUse: async () => [] });
  expect(await store.list()).toEqual([]);
  expect((await store.lastLock('claude'))?.recipe).toBe('claude');
});
