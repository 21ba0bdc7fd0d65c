import { spawn } from 'node:child_process';
import { chmod, copyFile, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

import { afterEach, beforeEach, expect, test } from 'vitest';

import { createSealedStore, sealedNames, type SealedStore } from '../../src/credentials/sealed/sealed-store.ts';
import { environmentOf } from '../../src/system/environment.ts';

/** Sealed values on a real disk: kept over a kill, refused when damaged, never overwritten when they cannot be opened. */

const uid = process.getuid?.() ?? 0;
let root: string;
let path: string;
let config: string;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'casemate-sealed-'));
  config = join(root, 'config');
  path = join(root, 'state', 'credentials.sealed');
  await mkdir(join(root, 'state'), { mode: 0o700 });
});

afterEach(async () => {
  await rm(root, { recursive: true });
});

const open = (): SealedStore => createSealedStore({ path, config, uid, env: environmentOf({}) });
const put = (store: SealedStore, name = 'main', value: unknown = { text: 'sealed-value-1' }) =>
  store.put({ kind: 'credential', name, note: { provider: 'header' }, value });

test('a value is there for the next process, and neither in the file of values nor in that of the key', async () => {
  await put(open());
  expect(await open().get('credential', 'main')).toEqual({ text: 'sealed-value-1' });
  expect(await open().list('credential')).toEqual([{ name: 'main', note: { provider: 'header' } }]);
  expect(await sealedNames(join(root, 'state'), 'credential')).toEqual(['main']);
  const written = await Promise.all([readFile(path, 'utf8'), readFile(join(config, 'seal.key'), 'utf8')]);
  expect(written.join()).not.toContain('sealed-value-1');
  expect((await stat(path)).mode & 0o777).toBe(0o600);
  expect((await stat(join(config, 'seal.key'))).mode & 0o777).toBe(0o600);
});

test('a folder of the key that others may write is refused; one that they may only read is not', async () => {
  await mkdir(config);
  await chmod(config, 0o777);
  await expect(put(open())).rejects.toThrow('others may change');
  expect(await readdir(config)).toEqual([]);
  await chmod(config, 0o755);
  await put(open());
  expect(await readdir(config)).toEqual(['seal.key']);
});

test('kinds are apart, and what is removed is gone', async () => {
  const store = open();
  await put(store, 'claude');
  await store.put({ kind: 'login', name: 'claude', note: {}, value: { refresh: 'r' } });
  expect(await store.remove('credential', 'claude')).toBe(true);
  expect(await store.remove('credential', 'claude')).toBe(false);
  expect(await store.get('credential', 'claude')).toBeUndefined();
  expect(await open().get('login', 'claude')).toEqual({ refresh: 'r' });
});

test('many changes at once are all kept', async () => {
  const store = open();
  await Promise.all(Array.from({ length: 20 }, (_, index) => put(store, `name-${index}`, { text: String(index) })));
  expect((await open().list('credential')).length).toBe(20);
  expect(await open().get('credential', 'name-13')).toEqual({ text: '13' });
});

test('a process killed while it writes leaves the last value that it called durable, or the next one', async () => {
  for (let round = 0; round < 6; round += 1) {
    const said = await sealUntilKilled(60 + round * 35);
    const found = await open().get('credential', 'main');
    const value = Number(/^value-(\d+)$/.exec((found as { text: string } | undefined)?.text ?? 'value-0')?.[1]);
    expect([said, said + 1]).toContain(value);
  }
  await put(open());
  expect((await readdir(join(root, 'state'))).filter((name) => name.startsWith('.'))).toEqual([]);
}, 60_000);

test('a file cut off at any length, or changed, is told of and left as it is', async () => {
  await put(open());
  const whole = await readFile(path, 'utf8');
  const damaged = [whole.slice(0, whole.length / 2), '', whole.replace('main', 'mine'), whole.replace('"header"', '"openai"')];
  for (const text of damaged) {
    await writeFile(path, text);
    await expect(open().get('credential', 'main')).rejects.toMatchObject({ code: 'CREDENTIAL_UNAVAILABLE' });
    await expect(put(open(), 'other')).rejects.toThrow('is damaged');
    expect(await readFile(path, 'utf8')).toBe(text);
  }
  await writeFile(path, whole);
  expect(await open().get('credential', 'main')).toEqual({ text: 'sealed-value-1' });
});

test('without its key, or with another one, nothing is opened and nothing is overwritten', async () => {
  await put(open());
  const whole = await readFile(path, 'utf8');
  const key = join(config, 'seal.key');
  await copyFile(key, join(root, 'kept'));
  await rm(key);
  await expect(put(open(), 'other')).rejects.toThrow('the key of the sealed values is missing');
  expect(await readdir(config)).toEqual([]);
  await writeFile(key, `${'0'.repeat(64)}\n`, { mode: 0o600 });
  await expect(open().get('credential', 'main')).rejects.toThrow('is sealed with another key');
  await expect(put(open(), 'other')).rejects.toThrow('is sealed with another key');
  await writeFile(key, 'short\n');
  await expect(open().get('credential', 'main')).rejects.toThrow('is damaged');
  await copyFile(join(root, 'kept'), key);
  await chmod(key, 0o644);
  await expect(open().get('credential', 'main')).rejects.toThrow('can be read or changed by others');
  await rm(key);
  await symlink(join(root, 'kept'), key);
  await expect(open().get('credential', 'main')).rejects.toThrow('symbolic link');
  expect(await readFile(path, 'utf8')).toBe(whole);
});

test('another program that changes the file meanwhile is not overwritten', async () => {
  const store = open();
  await put(store);
  const other = open();
  await put(other, 'second');
  await put(store, 'third');
  expect((await open().list('credential')).map(({ name }) => name).toSorted()).toEqual(['main', 'second', 'third']);
});

async function sealUntilKilled(ms: number): Promise<number> {
  const child = spawn(process.execPath, [resolve(import.meta.dirname, '../fixtures/seal-values.ts'), path, config], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let said = 0;
  const started = new Promise((done) => child.stdout.once('data', done));
  child.stdout.on('data', (data: Buffer) => {
    said = Number(data.toString().trim().split('\n').at(-1));
  });
  await started;
  await new Promise((done) => setTimeout(done, ms));
  child.kill('SIGKILL');
  await new Promise((done) => child.once('close', done));
  return said;
}
