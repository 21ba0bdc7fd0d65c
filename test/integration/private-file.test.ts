import { chmod, chown, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, expect, test } from 'vitest';

import { readPrivateFile } from '../../src/system/private-file.ts';
import { run } from '../../src/system/process.ts';
import { readSource } from '../../src/credentials/sources.ts';
import { environmentOf } from '../../src/system/environment.ts';

/** Credential files and commands on a real file system. */

const uid = process.getuid?.() ?? 0;
const limits = { uid, maxBytes: 1024 };
let folder: string;
let path: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'casemate-private-'));
  path = join(folder, 'key');
  await writeFile(path, 'value\n', { mode: 0o600 });
});

afterEach(async () => {
  await rm(folder, { recursive: true });
});

test('a file of the caller with mode 0600 or stricter is read', async () => {
  expect(await readPrivateFile(path, limits)).toBe('value\n');
  await chmod(path, 0o400);
  expect(await readPrivateFile(path, limits)).toBe('value\n');
});

test.each([0o640, 0o604, 0o620, 0o602, 0o644, 0o700, 0o666])(
  'mode %o is refused with the command that mends it',
  async (mode) => {
    await chmod(path, mode);
    await expect(readPrivateFile(path, limits)).rejects.toMatchObject({ code: 'PATH_INVALID', hint: `Run: chmod 600 ${path}` });
  },
);

test('a symbolic link is refused', async () => {
  await symlink(path, join(folder, 'link'));
  await expect(readPrivateFile(join(folder, 'link'), limits)).rejects.toThrow('symbolic link');
});

test('a folder, a device and a named pipe are refused at once', async () => {
  await run('mkfifo', [join(folder, 'pipe')], { env: { PATH: '/usr/bin:/bin' } });
  await expect(readPrivateFile(join(folder, 'pipe'), limits)).rejects.toThrow('not a regular file');
  await expect(readPrivateFile(folder, limits)).rejects.toThrow('not a regular file');
  await expect(readPrivateFile('/dev/zero', limits)).rejects.toThrow('not a regular file');
});

test('a file that is missing or too long is refused', async () => {
  await expect(readPrivateFile(join(folder, 'none'), limits)).rejects.toThrow('does not exist');
  await writeFile(path, 'x'.repeat(1025), { mode: 0o600 });
  await expect(readPrivateFile(path, limits)).rejects.toThrow('longer than 1024 bytes');
});

test.skipIf(uid !== 0)("another user's file is refused (needs root to make one)", async () => {
  await chown(path, 65_534, 65_534);
  await expect(readPrivateFile(path, limits)).rejects.toThrow('belongs to user 65534');
});

test('a credential command runs without a shell and without the variables of the caller', async () => {
  const env = environmentOf({ PATH: '/usr/bin:/bin', SECRET_OF_CALLER: 'x' });
  const { material } = await readSource({ kind: 'command', command: ['printf', '%s\n', '$(id)'] }, { env, uid });
  expect(material.kind === 'text' && material.secret.reveal()).toBe('$(id)');
  await expect(readSource({ kind: 'command', command: ['printenv', 'SECRET_OF_CALLER'] }, { env, uid })).rejects.toThrow(
    'exit code 1',
  );
});
