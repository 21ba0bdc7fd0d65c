import { chmod, chown, mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, expect, test } from 'vitest';

import { liveValue } from '../../src/credentials/live-value.ts';
import { readSecretFile } from '../../src/credentials/sources/secret-file.ts';
import { environmentOf } from '../../src/system/environment.ts';

/** Secrets as Docker and the kubelet mount them, on a real file system. */

const uid = process.getuid?.() ?? 0;
let root: string;
let folder: string;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'casemate-mounted-'));
  folder = join(root, 'secrets');
  await mkdir(folder);
});

afterEach(async () => {
  await rm(root, { recursive: true });
});

/** As the kubelet's atomic writer does: a dated folder, `..data` put in its place by a rename, links that lead through it. */
async function publish(value: string, date: string): Promise<void> {
  await mkdir(join(folder, `..${date}`));
  await writeFile(join(folder, `..${date}`, 'token'), `${value}\n`, { mode: 0o644 });
  await symlink(`..${date}`, join(folder, '..data_tmp'));
  await rename(join(folder, '..data_tmp'), join(folder, '..data'));
  await symlink(join('..data', 'token'), join(folder, 'token')).catch(() => undefined);
}

const read = async (name = 'token') => (await readSecretFile(join(folder, name), { uid }))?.content;

test('a plain file and the links of the kubelet are read', async () => {
  await writeFile(join(folder, 'plain'), 'value', { mode: 0o444 });
  expect(await read('plain')).toBe('value');
  await publish('one', '2026_01_01');
  expect(await read()).toBe('one\n');
  expect(await read('absent')).toBeUndefined();
});

test('a value that the kubelet replaced is used at the next exchange', async () => {
  await publish('one', '2026_01_01');
  const value = liveValue(
    { name: 'k', source: { kind: 'secret', path: join(folder, 'token') } },
    { env: environmentOf({}), uid },
  );
  await value.refresh();
  await publish('two', '2026_01_02');
  await rm(join(folder, '..2026_01_01'), { recursive: true });
  const material = await value.obtain();
  expect(material.kind === 'text' && material.secret.reveal()).toBe('two');
});

test('a link that leads out of the folder of the secret is refused', async () => {
  await writeFile(join(root, 'outside'), 'not-yours', { mode: 0o600 });
  await symlink(join(root, 'outside'), join(folder, 'token'));
  await expect(read()).rejects.toThrow('leads out of its folder');
  await symlink(root, join(folder, 'up'));
  await symlink(join('up', 'outside'), join(folder, 'second'));
  await expect(read('second')).rejects.toThrow('leads out of its folder');
});

test('what others may change, a folder and a long file are refused', async () => {
  await writeFile(join(folder, 'open'), 'value');
  await chmod(join(folder, 'open'), 0o666);
  await expect(read('open')).rejects.toThrow('can be changed by others');
  await mkdir(join(folder, 'inner'));
  await expect(read('inner')).rejects.toThrow('is not a regular file');
  await writeFile(join(folder, 'long'), 'x'.repeat(70_000), { mode: 0o444 });
  await expect(read('long')).rejects.toThrow('is longer than');
  await expect(readSecretFile('run/secrets/x', { uid })).rejects.toThrow('is not an absolute path');
});

test.skipIf(uid !== 0)("another user's file is refused (needs root to make one)", async () => {
  await writeFile(join(folder, 'token'), 'value', { mode: 0o644 });
  await chown(join(folder, 'token'), 12_345, 12_345);
  await expect(read()).rejects.toThrow('belongs to user 12345');
});
