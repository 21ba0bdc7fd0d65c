/** A command that is attached to: its output is passed on whatever becomes of the copy for `logs`. */
import { mkdtemp, readFile, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { attach } from '../../src/cli/session/attach.ts';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'casemate-attach-'));
});

afterEach(async () => {
  await rm(folder, { recursive: true });
});

async function run(logFile: string) {
  const invocation = {
    file: '/bin/sh',
    args: ['-c', 'printf out; printf err >&2; exit 3'],
    env: {},
    pidFile: '/nonexistent',
    errorLog: '/nonexistent',
  };
  const [stdout, stderr] = [new PassThrough(), new PassThrough()];
  const read = Promise.all([text(stdout), text(stderr)]);
  const code = await attach(invocation, { tty: false, logFile, stdout, stderr, input: 'none' });
  stdout.end();
  stderr.end();
  const [out, err] = await read;
  return { code, out, err };
}

describe('attach', () => {
  it('passes streams and exit code through and keeps a copy', async () => {
    const logFile = join(folder, 'x.log');
    expect(await run(logFile)).toEqual({ code: 3, out: 'out', err: 'err' });
    expect(await readFile(logFile, 'utf8')).toMatch(/^(?:outerr|errout)$/);
  });

  it('goes on without a copy where none can be written, and says so', async () => {
    expect(await run('/dev/full')).toMatchObject({ code: 3, out: 'out', err: expect.stringContaining('output is not kept') });
    expect(await run(join(folder, 'none/x.log'))).toMatchObject({
      code: 3,
      out: 'out',
      err: expect.stringMatching(/output is not kept.*ENOENT[^]*err$/),
    });
  });

  it('does not follow a link that lies where the copy goes', async () => {
    await symlink(join(folder, 'elsewhere'), join(folder, 'link.log'));
    expect(await run(join(folder, 'link.log'))).toMatchObject({ code: 3, err: expect.stringContaining('ELOOP') });
    await expect(readFile(join(folder, 'elsewhere'))).rejects.toMatchObject({ code: 'ENOENT' });
  });
});
