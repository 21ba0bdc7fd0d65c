/** What carries a command that an engine runs (`attach.pl`), against an engine that says what it says late. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { createServer as createSocketServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { dataFile } from '../../src/system/data-file.ts';

const exec = 'e'.repeat(64);

describe('what carries a command of an engine', () => {
  let folder: string;
  let server: Server;
  let command: ChildProcess;
  /** Answers of the engine about the command; the last one is given again and again. */
  let told: object[];
  let stream: Duplex | undefined;
  /** how often that was */
  let asked: number;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'casemate-carried-'));
    command = spawn('sleep', ['600'], { stdio: 'ignore' });
    stream = undefined;
    asked = 0;
    server = createServer((_, response) => {
      asked += 1;
      const answer = told.length > 1 ? told.shift() : told[0];
      response.end(JSON.stringify(answer));
    });
    server.on('upgrade', (_, socket) => {
      stream = socket;
      socket.on('error', () => undefined);
      socket.write('HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n');
      socket.write(frame('ready\n'));
    });
    await new Promise<void>((done) => server.listen(join(folder, 'engine'), done));
  });

  afterEach(async () => {
    command.kill('SIGKILL');
    stream?.destroy();
    server.close();
    await rm(folder, { recursive: true, force: true });
  });

  function carry(signals = '', before: readonly string[] = []): ChildProcess {
    const args = [join(folder, 'engine'), exec, 'plain', join(folder, 'pid'), join(folder, 'log'), signals];
    return spawn('perl', [...before, dataFile('engines/docker/attach.pl'), ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  }

  /** The command ended by a signal; the engine says so, and closes the stream. */
  async function endsBy(carrier: ChildProcess): Promise<unknown> {
    const [, signal] = (await once(command, 'exit')) as [unknown, NodeJS.Signals];
    told = [{ Running: false, Pid: command.pid, ExitCode: 143 }];
    stream?.end();
    const [code] = (await once(carrier, 'exit')) as [number | null];
    return { signal, code };
  }

  it('keeps a signal until the engine says which process it is for', async () => {
    const yet = { Running: true, Pid: 0, ExitCode: null };
    told = [yet, yet, yet, { Running: true, Pid: command.pid, ExitCode: null }];
    const carrier = carry();
    await once(carrier.stdout ?? carrier, 'data');
    carrier.kill('SIGTERM');
    expect(await endsBy(carrier)).toEqual({ signal: 'SIGTERM', code: 143 });
  });

  it('keeps one that comes while the engine starts the command', async () => {
    told = [{ Running: true, Pid: command.pid, ExitCode: null }];
    const started = server.listeners('upgrade');
    server.removeAllListeners('upgrade');
    const carrier = carry();
    const output = text(carrier.stdout ?? process.stdin);
    server.once('upgrade', (...args) => {
      carrier.kill('SIGTERM');
      setTimeout(() => started.forEach((start) => start(...args)), 100);
    });
    expect(await endsBy(carrier)).toEqual({ signal: 'SIGTERM', code: 143 });
    expect(await output).toBe('ready\n');
  });

  it('goes with a command on that has closed its output, as long as the engine says it runs', async () => {
    const runs = { Running: true, Pid: command.pid, ExitCode: null };
    told = [runs];
    const carrier = carry();
    await once(carrier.stdout ?? carrier, 'data');
    stream?.end();
    // Asked for again and again from then on.
    const before = asked;
    await expect.poll(() => asked - before).toBeGreaterThan(5);
    carrier.kill('SIGTERM');
    expect(await endsBy(carrier)).toEqual({ signal: 'SIGTERM', code: 143 });
  });

  it('waits where its own output takes no more for now', async () => {
    told = [{ Running: true, Pid: command.pid, ExitCode: null }];
    // F_SETFL and O_NONBLOCK
    const carrier = carry('', ['-e', 'fcntl(STDOUT, 4, 04000) or die; exec "perl", @ARGV']);
    await expect.poll(() => stream).toBeDefined();
    const much = 'x'.repeat(4_000_000);
    stream?.write(frame(much));
    await expect.poll(() => stream?.writableLength).toBe(0);
    const output = text(carrier.stdout ?? process.stdin);
    command.kill('SIGTERM');
    expect(await endsBy(carrier)).toEqual({ signal: 'SIGTERM', code: 143 });
    expect((await output).length).toBe('ready\n'.length + much.length);
  });

  it('says of a signal that the daemon did not send that it was not, while the command runs', async () => {
    told = [{ Running: true, Pid: command.pid, ExitCode: null }];
    const daemon = createSocketServer((socket) => socket.once('data', () => socket.end()));
    const path = join(folder, 'signals');
    await new Promise<void>((done) => daemon.listen(path, done));
    try {
      const carrier = carry(path);
      const said = once(carrier.stderr ?? carrier, 'data');
      await once(carrier.stdout ?? carrier, 'data');
      carrier.kill('SIGTERM');
      expect(String((await said)[0])).toBe('casemate-attach: the signal 15 could not be sent\n');
      command.kill('SIGTERM');
      expect(await endsBy(carrier)).toEqual({ signal: 'SIGTERM', code: 143 });
    } finally {
      daemon.close();
    }
  });
});

/** Standard output in the engine's framing (Docker Engine API, "attach"). */
function frame(output: string): Buffer {
  const head = Buffer.alloc(8);
  head[0] = 1;
  head.writeUInt32BE(output.length, 4);
  return Buffer.concat([head, Buffer.from(output)]);
}
