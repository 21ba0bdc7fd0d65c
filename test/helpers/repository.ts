/** A repository of git as a person has it, and indexes as git would not write them. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { run, type RunResult } from '../../src/system/process.ts';

export const gitEnv = { PATH: '/usr/bin:/bin', HOME: '/nonexistent', GIT_CONFIG_NOSYSTEM: '1' };
export const gitNames = ['-c', 'user.name=a', '-c', 'user.email=a@example.com'];

export async function git(path: string, ...args: readonly string[]): Promise<RunResult> {
  return await run('git', ['-C', path, ...gitNames, '-c', 'init.defaultBranch=main', ...args], { env: gitEnv });
}

/** With one commit of one file. */
export async function repository(path: string): Promise<void> {
  await git(path, 'init', '--quiet');
  await writeFile(join(path, 'file'), 'one\n');
  await git(path, 'add', 'file');
  await git(path, 'commit', '--quiet', '--message', 'one');
}

const forged = (names: readonly string[]): string => `
import struct, hashlib, subprocess
program = b'#!/bin/sh\\ntouch MARK\\n'
run = lambda *args, given=None: subprocess.run(['git', *args], input=given, capture_output=True).stdout.decode().strip()
rows = sorted([('file', 0o100644, run('hash-object', '-w', 'file'))] + [(n, 0o100755, run('hash-object', '-w', '--stdin', given=program)) for n in ${JSON.stringify(names)}])
index = b'DIRC' + struct.pack('>II', 2, len(rows))
for name, mode, sha in rows:
    row = struct.pack('>10I', 0, 0, 0, 0, 0, 0, mode, 0, 0, 0) + bytes.fromhex(sha) + struct.pack('>H', len(name)) + name.encode()
    index += row + bytes(8 - len(row) % 8)
open('.git/index', 'wb').write(index + hashlib.sha1(index).digest())
`;

/** Of `repository`: entries of these names have the content of a program. */
export async function forgedIndex(path: string, names: readonly string[]): Promise<void> {
  await run('python3', ['-c', forged(names)], { env: gitEnv, cwd: path });
}
