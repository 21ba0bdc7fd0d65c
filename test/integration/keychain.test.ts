import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { readKeychain, writeKeychain } from '../../src/credentials/sources/keychain.ts';
import { createSealedStore } from '../../src/credentials/sealed/sealed-store.ts';
import { readSource } from '../../src/credentials/sources.ts';
import { environmentOf, type Environment } from '../../src/system/environment.ts';
import type { RunOptions } from '../../src/system/process.ts';

/** The keychain: a real Secret Service in a session of its own, and macOS by the argument lists it would be called with. */

const tools = ['dbus-daemon', 'gnome-keyring-daemon', 'secret-tool'];
const missing = tools.filter((tool) => !['/usr/bin', '/usr/local/bin'].some((folder) => existsSync(join(folder, tool))));
if (missing.length > 0) {
  process.stderr.write(`the tests of a real keychain are skipped: ${missing.join(', ')} not installed\n`);
}
const uid = process.getuid?.() ?? 0;
const entry = { service: 'casemate-test', account: 'a b"c' };

describe.skipIf(missing.length > 0)('a Secret Service', () => {
  let root: string;
  let env: Environment;
  const children: ChildProcess[] = [];

  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), 'casemate-keychain-'));
    const variables: Record<string, string> = {
      PATH: '/usr/bin:/bin',
      HOME: root,
      XDG_RUNTIME_DIR: join(root, 'run'),
      XDG_DATA_HOME: join(root, 'data'),
      XDG_CONFIG_HOME: join(root, 'config'),
    };
    await mkdir(join(root, 'run'), { mode: 0o700 });
    const bus = spawn('dbus-daemon', ['--session', '--nofork', '--print-address'], {
      env: variables,
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    children.push(bus);
    const address = await new Promise<string>((resolve) =>
      bus.stdout?.once('data', (data: Buffer) => resolve(data.toString().trim())),
    );
    variables['DBUS_SESSION_BUS_ADDRESS'] = address;
    const keyring = spawn('gnome-keyring-daemon', ['--foreground', '--unlock', '--components=secrets'], {
      env: variables,
      stdio: ['pipe', 'pipe', 'ignore'],
    });
    children.push(keyring);
    keyring.stdin?.end('password of the test');
    env = environmentOf(variables);
    for (let tries = 0; tries < 300; tries += 1) {
      // It takes a moment until the service has its name on the bus.
      const answer = await readKeychain(entry, { env }).catch(() => 'not yet');
      if (answer === undefined) {
        return;
      }
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    throw new Error('the keyring of the test did not come up');
  }, 120_000);

  afterAll(async () => {
    children.toReversed().forEach((child) => child.kill('SIGTERM'));
    await rm(root, { recursive: true, force: true });
  });

  test('gives back what was put in, and nothing for what is not there', async () => {
    await writeKeychain(entry, 'value-in-the-keychain', { env, label: 'test' });
    expect(await readKeychain(entry, { env })).toBe('value-in-the-keychain');
    await writeKeychain(entry, 'another-value', { env, label: 'test' });
    expect(await readKeychain(entry, { env })).toBe('another-value');
    expect(await readKeychain({ ...entry, account: 'other' }, { env })).toBeUndefined();
    const { material } = await readSource({ kind: 'keychain', ...entry }, { env, uid });
    expect(material.kind === 'text' && material.secret.reveal()).toBe('another-value');
  });

  test('holds the key of the sealed values, so that there is no file of it', async () => {
    const place = { path: join(root, 'credentials.sealed'), config: join(root, 'settings'), uid, env };
    const store = createSealedStore(place);
    await store.put({ kind: 'credential', name: 'main', note: {}, value: { text: 'sealed' } });
    expect(store.keyPlace()).toBe('keychain');
    expect(await createSealedStore(place).get('credential', 'main')).toEqual({ text: 'sealed' });
    expect(await readdir(join(root, 'settings')).catch(() => [])).toEqual([]);
    // From a shell without that session the file stays shut, and stays as it is.
    const before = await readFile(place.path);
    const elsewhere = createSealedStore({ ...place, env: environmentOf({ PATH: '/usr/bin:/bin', HOME: root }) });
    await expect(elsewhere.get('credential', 'main')).rejects.toMatchObject({ code: 'CREDENTIAL_UNAVAILABLE' });
    expect(await readFile(place.path)).toEqual(before);
  });
});

describe('macOS, by argument lists', () => {
  interface Call {
    readonly args: readonly string[];
    readonly input: string;
  }
  const calls: Call[] = [];
  const answering = (exitCode: number, stdout = '') => ({
    env: environmentOf({}),
    platform: 'darwin' as const,
    run: async (file: string, args: readonly string[], { input }: RunOptions) => {
      expect(file).toBe('security');
      calls.push({ args, input: String(input ?? '') });
      return { exitCode, signal: undefined, stdout: Buffer.from(stdout), stderr: Buffer.alloc(0), truncated: false };
    },
  });

  test('a value is read by name, and 44 means that there is none', async () => {
    expect(await readKeychain({ service: 's', account: 'a' }, answering(0, 'value\n'))).toBe('value');
    expect(await readKeychain({ service: 's', account: 'a' }, answering(44))).toBeUndefined();
    await expect(readKeychain({ service: 's', account: 'a' }, answering(36))).rejects.toThrow('exit code 36');
    expect(calls[0]?.args).toEqual(['find-generic-password', '-s', 's', '-a', 'a', '-w']);
  });

  test('a value that is written stands in no argument', async () => {
    await writeKeychain({ service: 's', account: 'a' }, 'abcdef', { ...answering(0), label: 'x' });
    expect(calls.at(-1)).toEqual({ args: ['-i'], input: 'add-generic-password -U -s "s" -a "a" -w "abcdef"\n' });
  });
});

test('a keychain whose program is not there is named', async () => {
  const env = environmentOf({ PATH: '/nonexistent' });
  await expect(readKeychain(entry, { env, platform: 'linux' })).rejects.toThrow('the keychain needs the program secret-tool');
});
