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

interface Asked {
  readonly script?: string;
  readonly timeoutMs?: number;
}

async function run(logFile: string, { script = 'printf out; printf err >&2; exit 3', timeoutMs }: Asked = {}) {
  const invocation = {
    file: '/bin/sh',
    args: ['-c', script],
    env: {},
    pidFile: '/nonexistent',
    errorLog: '/nonexistent',
  };
  const [stdout, stderr] = [new PassThrough(), new PassThrough()];
  const read = Promise.all([text(stdout), text(stderr)]);
  const code = await attach(invocation, { tty: false, logFile, timeoutMs, stdout, stderr, input: 'none' });
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

  it('does not wait, after its time limit, for what a command that has ended left behind', async () => {
    const { code, out } = await run(join(folder, 'x.log'), { script: 'sleep 90 & echo $!; exit 3', timeoutMs: 10 });
    const left = Number(out);
    expect(left).toBeGreaterThan(1);
    // It runs on, and has the pipes open.
    expect(process.kill(left, 'SIGKILL')).toBe(true);
    expect(code).toBe(3);
  });

  it('does not follow a link that lies where the copy goes', async () => {
    await symlink(join(folder, 'elsewhere'), join(folder, 'link.log'));
    expect(await run(join(folder, 'link.log'))).toMatchObject({ code: 3, err: expect.stringContaining('ELOOP') });
    await expect(readFile(join(folder, 'elsewhere'))).rejects.toMatchObject({ code: 'ENOENT' });
  });
});
