import { mkdir, mkdtemp, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';

import { CasemateError } from '../../../src/base/errors.ts';
import { readSource } from '../../../src/credentials/sources.ts';
import type { SourceAccess } from '../../../src/credentials/sources/source-access.ts';
import type { CredentialSource } from '../../../src/policy/policy.ts';
import { environmentOf } from '../../../src/system/environment.ts';

/** Reading a credential from its source: what is taken, what is refused, and that no error tells the value. */

async function valueOf(source: CredentialSource, given: SourceAccess): Promise<string> {
  const { material } = await readSource(source, given);
  return material.kind === 'text' ? material.secret.reveal() : material.secretAccessKey.reveal();
}

const key = 'the-value-nobody-may-see';

function access(parts: Partial<SourceAccess> = {}, variables: Record<string, string> = {}): SourceAccess {
  return { env: environmentOf({ HOME: '/home/me', ...variables }), uid: 1000, ...parts };
}

function printing(stdout: string, exitCode = 0, truncated = false): Pick<SourceAccess, 'run'> {
  const result = { exitCode, signal: undefined, stdout: Buffer.from(stdout), stderr: Buffer.from(`${key} on stderr`), truncated };
  return { run: () => Promise.resolve(result) };
}

async function faultOf(source: CredentialSource, given: SourceAccess): Promise<CasemateError> {
  const thrown: unknown = await readSource(source, given).then(
    () => undefined,
    (error: unknown) => error,
  );
  expect(thrown).toBeInstanceOf(CasemateError);
  const fault = thrown as CasemateError;
  expect(fault.code).toBe('CREDENTIAL_UNAVAILABLE');
  expect(`${fault.message} ${fault.hint ?? ''} ${fault.stack ?? ''} ${JSON.stringify(fault.cause ?? '')}`).not.toContain(
    'nobody-may-see',
  );
  return fault;
}

const fromEnv = { kind: 'env', name: 'KEY' } as const;
const fromCommand = { kind: 'command', command: ['/usr/bin/op', 'read', `op://${key}`] } as const;
const fromFile = { kind: 'file', path: '/home/me/.key' } as const;

function failing(error: Error): Pick<SourceAccess, 'run'> {
  return {
    async run() {
      throw error;
    },
  };
}

test('a variable gives its value', async () => {
  expect(await valueOf(fromEnv, access({}, { KEY: key }))).toBe(key);
});

test('a variable that is missing or empty is named', async () => {
  expect((await faultOf(fromEnv, access())).message).toContain('environment variable KEY is not set or empty');
  expect((await faultOf(fromEnv, access({}, { KEY: '' }))).message).toContain('KEY');
});

test.each([
  ['a line feed inside', `${key}\nsecond`],
  ['a carriage return', `${key}\r`],
  ['a control character', `${key}\u001b[0m`],
  ['a letter outside ASCII', `${key}é`],
  ['a space at the end', `${key} `],
  ['a space at the start', ` ${key}`],
  ['65 KiB', key.repeat(3000)],
])('a value with %s is refused', async (_, value) => {
  await faultOf(fromEnv, access({}, { KEY: value }));
});

test('a file gives its content without the final line feed', async () => {
  const readFile = () => Promise.resolve(`${key}\n`);
  expect(await valueOf(fromFile, access({ readFile }))).toBe(key);
});

test('a file of two lines is refused', async () => {
  await faultOf(fromFile, access({ readFile: () => Promise.resolve(`${key}\n${key}\n`) }));
});

test('a path below the home may be written with a tilde; a relative one is refused', async () => {
  const asked: string[] = [];
  const readFile = (path: string) => {
    asked.push(path);
    return Promise.resolve(key);
  };
  await readSource({ kind: 'file', path: '~/keys/a' }, access({ readFile }));
  expect(asked).toEqual(['/home/me/keys/a']);
  expect((await faultOf({ kind: 'file', path: 'keys/a' }, access({ readFile }))).message).toContain('not an absolute path');
});

test('a command gives its standard output without the final line feed, and gets no credential of the caller', async () => {
  let env: Readonly<Record<string, string>> = {};
  const { run } = printing(`${key}\n`);
  const spied: SourceAccess['run'] = (file, args, options) => {
    ({ env } = options);
    expect([file, ...args]).toEqual(fromCommand.command);
    expect(options.timeoutMs).toBe(30_000);
    return run === undefined ? Promise.reject(new Error('unreachable')) : run(file, args, options);
  };
  const value = await valueOf(fromCommand, access({ run: spied }, { ANTHROPIC_API_KEY: 'other', PATH: '/bin' }));
  expect(value).toBe(key);
  expect(env).toEqual({ HOME: '/home/me', PATH: '/bin' });
});

test('a failing command is named by its program and exit code, without its output or arguments', async () => {
  const fault = await faultOf(fromCommand, access(printing(key, 3)));
  expect(fault.message).toBe('credential command "op" ended with exit code 3');
});

test('a command that prints nothing, two lines or too much is refused', async () => {
  await faultOf(fromCommand, access(printing('')));
  await faultOf(fromCommand, access(printing('\n')));
  await faultOf(fromCommand, access(printing(`${key}\n${key}\n`)));
  await faultOf(fromCommand, access(printing(key, 0, true)));
  await faultOf({ kind: 'command', command: [] }, access(printing(key)));
});

test('a command that hangs or cannot start is named', async () => {
  expect((await faultOf(fromCommand, access(failing(new CasemateError('TIMED_OUT', key))))).message).toContain(
    'did not end within 30 s',
  );
  expect((await faultOf(fromCommand, access(failing(new Error(key))))).message).toContain('could not be started');
});

test('a file that the sandbox reads gives no value, by whatever way it is named', async () => {
  const folder = await realpath(await mkdtemp(join(tmpdir(), 'casemate-inside-')));
  try {
    const [inside, outside] = [join(folder, 'work/deep/key'), join(folder, 'workshop/key')];
    await Promise.all([mkdir(join(folder, 'work/deep'), { recursive: true }), mkdir(join(folder, 'workshop'))]);
    await Promise.all([inside, outside].map((path) => writeFile(path, `${key}\n`, { mode: 0o600 })));
    await symlink(join(folder, 'work/deep'), join(folder, 'elsewhere'));
    // A sandbox writes the link: it must not choose which file of the host is read.
    await symlink(join(folder, 'workshop'), join(folder, 'work/out'));
    await symlink(join(folder, 'work'), join(folder, 'project'));
    const given = access({ readInside: join(folder, 'work'), uid: process.geteuid?.() ?? 0 });
    for (const path of [inside, ...['elsewhere/key', 'work/out/key', 'project/out/key'].map((name) => join(folder, name))]) {
      expect((await faultOf({ kind: 'file', path }, given)).message).toContain('lies in the workspace');
      expect((await faultOf({ kind: 'secret', path }, given)).message).toContain('lies in the workspace');
    }
    expect(await valueOf({ kind: 'file', path: outside }, given)).toBe(key);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
