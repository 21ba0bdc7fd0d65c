/** Callers that come while the daemon changes, and what a person does in that moment. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { spawn } from 'node:child_process';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import type { CommandContext } from '../../src/cli/command.ts';
import { connectDaemon } from '../../src/cli/session/connect.ts';
import { buildId } from '../../src/daemon/build-id.ts';
import { readLines, writeLine } from '../../src/daemon/lines.ts';
import { socketPath } from '../../src/daemon/protocol.ts';
import { environmentOf } from '../../src/system/environment.ts';
import { version } from '../../src/system/version.ts';
import { makeHome, type Home } from '../helpers/cli.ts';

interface Call {
  readonly id: number;
  readonly method: string;
}

let home: Home;
let server: Server | undefined;
let entry: string;

beforeEach(async () => {
  home = await makeHome();
  entry = join(home.root, 'program.js');
  await writeFile(entry, '');
  await mkdir(home.paths.runtime, { recursive: true });
});

afterEach(async () => {
  server?.close();
  await home.remove();
});

/** Says which build it is as the test says, connection by connection, and is told what each asks. */
async function daemons(
  of: (connection: number, socket: Socket) => string | undefined,
  take: (call: Call, socket: Socket) => void,
) {
  let count = 0;
  server = createServer((socket) => {
    count += 1;
    socket.on('error', () => undefined);
    const build = of(count, socket);
    if (build !== undefined) {
      writeLine(socket, { type: 'hello', version, build, pid: process.pid });
    }
    readLines(socket, (message) => take(message as Call, socket));
  });
  const { promise, resolve } = Promise.withResolvers<void>();
  server.listen(socketPath(home.paths), resolve);
  await promise;
}

const context = (): CommandContext => {
  const { stdin, stdout, stderr } = process;
  return { env: environmentOf(home.env), paths: home.paths, cwd: home.project, uid: 0, entry, stdin, stdout, stderr };
};

describe('a daemon of another build that a second caller replaced in between', () => {
  it('is not taken for the old one: nobody ends the new daemon', async () => {
    const asked: string[] = [];
    await daemons(
      (connection) => (connection === 1 ? '0.0.0+1' : buildId(entry)),
      ({ id, method }, socket) => {
        asked.push(method);
        writeLine(socket, { type: 'result', id, value: [] });
        if (method === 'shutdown') {
          socket.end();
        }
      },
    );
    const client = await connectDaemon(context());
    expect(await client.call('ls', {})).toEqual([]);
    client.close();
    expect(asked).toEqual(['ls']);
  });

  it.each(['says that it is about to end', 'ends before it answers'])('and that %s is waited for', async (how) => {
    const asked: string[] = [];
    await daemons(
      (connection) => (connection <= 2 ? '0.0.0+1' : buildId(entry)),
      ({ id, method }, socket) => {
        asked.push(method);
        if (method !== 'shutdown') {
          writeLine(socket, { type: 'result', id, value: [] });
          return;
        }
        if (how.startsWith('says')) {
          writeLine(socket, { type: 'error', id, error: { code: 'DAEMON_UNREACHABLE', message: 'the daemon is about to end' } });
        }
        socket.end();
      },
    );
    const client = await connectDaemon(context());
    expect(await client.call('ls', {})).toEqual([]);
    client.close();
    expect(asked).toEqual(['shutdown', 'ls']);
  });
});

describe('requests --follow', () => {
  it('ends when it is interrupted while it still connects', async () => {
    const connected = Promise.withResolvers<Socket>();
    await daemons(
      (_, socket) => {
        connected.resolve(socket);
        return undefined;
      },
      () => undefined,
    );
    const [file, ...before] = home.program;
    const child = spawn(file, [...before, 'requests', '--follow'], { cwd: home.project, env: home.env, stdio: 'ignore' });
    const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
    const socket = await connected.promise;
    child.kill('SIGINT');
    // The kernel has handed it over: the listener runs before what is said only after that.
    await expect.poll(async () => /^ShdPnd:\s0*$/m.test(await readFile(`/proc/${child.pid}/status`, 'utf8'))).toBe(true);
    const build = buildId(home.program.at(-1));
    writeLine(socket, { type: 'hello', version, build, pid: process.pid });
    expect(await ended).toBe(0);
  });
});
