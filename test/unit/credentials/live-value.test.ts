import { expect, test } from 'vitest';

import { CasemateError } from '../../../src/base/errors.ts';
import { liveValue, type LiveValueOptions } from '../../../src/credentials/live-value.ts';
import { secret } from '../../../src/credentials/secret.ts';
import type { CredentialSource } from '../../../src/policy/policy.ts';
import { environmentOf } from '../../../src/system/environment.ts';

/** A value as it is now: read again when it may be another one, and never the old one after the new one was seen. */

const clock = { nowMs: () => 0, monotonicMs: () => 0 };

function world(source: CredentialSource, options: Partial<LiveValueOptions> = {}) {
  const value = liveValue({ name: 'main', source }, { env: environmentOf({}), uid: 0, clock, ...options });
  const text = async (): Promise<string> => {
    const material = await value.obtain();
    return material.kind === 'text' ? material.secret.reveal() : '';
  };
  return { value, text };
}

test('a file that changed is read again at the next use; one that is gone or unfit is not replaced by what was held', async () => {
  const file = { stamp: '1', content: 'one' };
  const { value, text } = world(
    { kind: 'file', path: '/k' },
    { stampOf: async () => file.stamp, readFile: async () => file.content },
  );
  await value.refresh();
  file.content = 'two';
  expect(await text()).toBe('one');
  const before = value.epoch();
  file.stamp = '2';
  expect(await text()).toBe('two');
  expect(value.epoch()).toBeGreaterThan(before);
  Object.assign(file, { stamp: '3', content: '' });
  await expect(text()).rejects.toThrow('is empty');
  Object.assign(file, { stamp: '4', content: 'four' });
  expect(await text()).toBe('four');
});

test('twenty who wait for a file that changed cause one reading', async () => {
  let readings = 0;
  let stamp = '1';
  const { value, text } = world(
    { kind: 'file', path: '/k' },
    {
      stampOf: async () => stamp,
      async readFile() {
        readings += 1;
        return `value-${readings}`;
      },
    },
  );
  await value.refresh();
  stamp = '2';
  expect(new Set(await Promise.all(Array.from({ length: 20 }, text)))).toEqual(new Set(['value-2']));
  expect(readings).toBe(2);
});

test('a command is asked again when its value was rejected, at most twice a minute', async () => {
  let readings = 0;
  let nowMs = 0;
  const { value, text } = world(
    { kind: 'command', command: ['op'] },
    {
      clock: { nowMs: () => nowMs, monotonicMs: () => nowMs },
      async run() {
        readings += 1;
        const stdout = Buffer.from(`value-${readings}`);
        return { exitCode: 0, signal: undefined, stdout, stderr: Buffer.alloc(0), truncated: false };
      },
    },
  );
  await value.refresh();
  const rejected = await value.obtain();
  Array.from({ length: 10 }, () => value.onRejected(rejected));
  await expect.poll(text).toBe('value-2');
  nowMs = 20_000;
  value.onRejected(rejected);
  await Promise.resolve();
  expect(readings).toBe(2);
  nowMs = 40_000;
  value.onRejected(rejected);
  await expect.poll(text).toBe('value-3');
});

test('a variable is read anew from the environment of whoever refreshes', async () => {
  const { value, text } = world({ kind: 'env', name: 'KEY' }, { env: environmentOf({ KEY: 'one' }) });
  await value.refresh();
  await value.refresh(environmentOf({ KEY: 'two' }));
  expect(await text()).toBe('two');
  await expect(value.refresh(environmentOf({}))).rejects.toThrow('credential "main": environment variable KEY');
  expect(await text()).toBe('two');
  const before = value.epoch();
  value.forget();
  expect(value.epoch()).toBe(before + 1);
  await expect(text()).rejects.toThrow('is not held');
});

test('a sealed value is asked for at each use; the same one again is no other value', async () => {
  let sealed: string | undefined = 'one';
  const stored = async () => (sealed === undefined ? undefined : secret(sealed));
  const { value, text } = world({ kind: 'stored', name: 'main' }, { stored });
  await value.refresh();
  const before = value.epoch();
  expect(await text()).toBe('one');
  expect(value.epoch()).toBe(before);
  sealed = 'two';
  expect(await text()).toBe('two');
  expect(value.epoch()).toBe(before + 1);
  sealed = undefined;
  await expect(text()).rejects.toMatchObject({ code: 'CREDENTIAL_UNAVAILABLE', hint: 'Run: casemate credentials set main' });
});

test('of several sources the first that is there is taken, and kept; a person may switch to another', async () => {
  const source: CredentialSource = {
    kind: 'first',
    sources: [
      { kind: 'env', name: 'KEY' },
      { kind: 'stored', name: 'main' },
    ],
  };
  const { value, text } = world(source, { env: environmentOf({ KEY: 'of-env' }), stored: async () => secret('sealed') });
  await value.refresh();
  expect([await text(), value.sourceInUse()]).toEqual(['of-env', 'env']);
  await value.switchTo({ kind: 'stored', name: 'main' });
  expect([await text(), value.sourceInUse()]).toEqual(['sealed', 'stored']);
  const empty = world(source, { stored: async () => undefined });
  await expect(empty.value.refresh()).rejects.toThrow(
    'none of its sources has a value: environment variable KEY; sealed value "main"',
  );
});

test('one of several sources that is there and unfit is told of, and no other one is taken', async () => {
  const source: CredentialSource = {
    kind: 'first',
    sources: [
      { kind: 'file', path: '/k' },
      { kind: 'stored', name: 'main' },
    ],
  };
  const { value } = world(source, {
    stampOf: async () => '1',
    readFile: () => Promise.reject(new CasemateError('PATH_INVALID', '/k can be read or changed by others, or run')),
    stored: async () => secret('sealed'),
  });
  await expect(value.refresh()).rejects.toThrow('can be read or changed by others');
});

test('a value that was given up while it was read does not come back', async () => {
  let letGo = (): void => undefined;
  const { value, text } = world(
    { kind: 'stored', name: 'main' },
    { stored: () => new Promise((resolve) => (letGo = () => resolve(secret('old-value')))) },
  );
  const refreshed = value.refresh();
  letGo();
  await refreshed;
  const late = text();
  await Promise.resolve();
  value.forget();
  letGo();
  await expect(late).rejects.toThrow('is not held');
  await expect(text()).rejects.toThrow('is not held');
});

test('another source is read though the one before is asked for all the time', async () => {
  const { value, text } = world(
    {
      kind: 'first',
      sources: [
        { kind: 'keychain', service: 's', account: 'a' },
        { kind: 'stored', name: 'main' },
      ],
    },
    {
      stored: async () => secret('sealed-value'),
      run: async () => ({
        exitCode: 0,
        signal: undefined,
        stdout: Buffer.from('file'),
        stderr: Buffer.alloc(0),
        truncated: false,
      }),
    },
  );
  await value.refresh();
  // Those who wait for a reading that fails or ends ask again before anybody else can.
  const rejected = { kind: 'text', secret: secret('file') } as const;
  value.onRejected(rejected);
  const switched = value.switchTo({ kind: 'stored', name: 'main' });
  await switched;
  expect(await text()).toBe('sealed-value');
  expect(value.sourceInUse()).toBe('stored');
});

test('keys of an AWS profile are read again when the file they stand in was written since', async () => {
  let stamp = '1';
  let reading = 0;
  const value = liveValue(
    { name: 'aws', source: { kind: 'aws', profile: undefined } },
    {
      env: environmentOf({ HOME: '/nowhere' }),
      uid: 0,
      clock,
      stampOf: async () => stamp,
      async readAws() {
        reading += 1;
        const keys = { accessKeyId: `AKIA${reading}`, secretAccessKey: secret('s'), sessionToken: undefined };
        return { material: { kind: 'aws', ...keys }, expiresMs: undefined };
      },
    },
  );
  await value.refresh();
  expect(await value.obtain()).toMatchObject({ accessKeyId: 'AKIA1' });
  expect(await value.obtain()).toMatchObject({ accessKeyId: 'AKIA1' });
  stamp = '2';
  expect(await value.obtain()).toMatchObject({ accessKeyId: 'AKIA2' });
});

test('a file that is empty while it is written anew is no fault', async () => {
  const contents = ['one', '', 'two'];
  let stamp = 0;
  const { value, text } = world(
    { kind: 'file', path: '/k' },
    { stampOf: async () => `${stamp}`, readFile: async () => contents.shift() ?? '' },
  );
  await value.refresh();
  stamp = 1;
  expect(await text()).toBe('two');
});

test('a login is asked for at each use, also where it had ended before it was ever read; one that was given up is not', async () => {
  let ended = true;
  const { value, text } = world(
    { kind: 'login', agent: 'claude' },
    {
      async login() {
        if (ended) {
          throw new CasemateError('LOGIN_ENDED', 'the login of claude has ended');
        }
        return { kind: 'text', secret: secret('token') };
      },
    },
  );
  await expect(value.refresh()).rejects.toMatchObject({ code: 'LOGIN_ENDED' });
  await expect(text()).rejects.toMatchObject({ code: 'LOGIN_ENDED' });
  ended = false;
  expect(await text()).toBe('token');
  value.forget();
  await expect(text()).rejects.toMatchObject({ code: 'CREDENTIAL_UNAVAILABLE' });
});
