/** The daemon as a process: garbage from callers, a start that fails half-way, an end while sandboxes run. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { daemonLock, takeDaemonLock } from '../../src/daemon/lock.ts';
import { socketPath } from '../../src/daemon/protocol.ts';
import { run } from '../../src/system/process.ts';
import { entry, makeHome, ways, wholeWayLacks, type Home } from '../helpers/cli.ts';
import { engineOrSkip } from '../helpers/require-engine.ts';

const hasEngine = engineOrSkip('oci', await wholeWayLacks());

let home: Home;

beforeEach(async () => {
  home = await makeHome();
});

afterEach(async () => {
  await home.remove();
});

async function daemonPid(): Promise<number> {
  const { daemon } = JSON.parse((await home.casemate(['daemon', 'status', '--json'])).out);
  return daemon.pid;
}

const lives = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

describe('a daemon of another HOME', () => {
  it.each(ways)('serves no command of this one, and says where each keeps its state: %s', async (way) => {
    const own = await makeHome(way);
    const [one, other, link] = [join(own.root, 'one'), join(own.root, 'other'), join(own.root, 'link')];
    const runtime = join(own.root, 'runtime');
    await Promise.all([one, other, runtime].map(async (path) => await mkdir(path, { mode: 0o700 })));
    await symlink(one, link);
    const at = (HOME: string): { env: Record<string, string> } => ({
      env: { HOME, XDG_RUNTIME_DIR: runtime, CASEMATE_HOME: '' },
    });
    try {
      expect(await own.casemate(['ls'], at(one))).toMatchObject({ code: 0, err: '' });
      for (const args of [['ls'], ['exec', 'box', '--', 'true']]) {
        const { code, err } = await own.casemate(args, at(other));
        expect({ args, code, err }).toEqual({
          args,
          code: 125,
          err: expect.stringMatching(
            /^casemate: the daemon that runs keeps its state in \S*\/one\/\S*, and this command in \S*\/other\/\S*\n {2}HOME or/,
          ),
        });
      }
      expect(await own.casemate(['ls'], at(link))).toMatchObject({ code: 0, err: '' });
      expect((await own.casemate(['exec', 'box', '--', 'true'], at(link))).err).toContain('no sandbox is named "box"');
      expect((await own.casemate(['daemon', 'status'], at(other))).out).toMatch(/^process +\d+/);
    } finally {
      expect(await own.casemate(['daemon', 'stop', '--force'], at(other))).toMatchObject({ code: 0, out: 'stopped\n' });
      await own.remove();
    }
  });
});

describe("a folder of the socket that is somebody else's", () => {
  it('is named, and nobody is told that no daemon runs', async () => {
    await mkdir(home.paths.runtime, { recursive: true, mode: 0o700 });
    await chmod(home.paths.runtime, 0o000);
    // Root without the rights of root may enter it as little as another user may.
    const [file, ...before] = [...(process.getuid?.() === 0 ? ['setpriv', '--bounding-set=-all'] : []), process.execPath, entry];
    for (const command of ['daemon status', 'daemon stop', 'ls']) {
      const { exitCode, stderr } = await run(file, [...before, ...command.split(' ')], { cwd: home.project, env: home.env });
      expect({ command, exitCode, err: stderr.toString('utf8') }).toEqual({
        command,
        exitCode: 125,
        err: expect.stringMatching(
          /^casemate: the socket of the daemon may not be used: .*daemon\.sock: permission denied\n {2}.*XDG_RUNTIME_DIR.*\n$/,
        ),
      });
    }
    await chmod(home.paths.runtime, 0o700);
  });
});

describe('a daemon whose state cannot be used', () => {
  it.each<[string, string, Buffer]>([
    ['a damaged state file', 'state.sqlite', Buffer.from('this is not a database, and long enough to be looked at '.repeat(20))],
    ['a damaged lock', 'daemon.lock', Buffer.from('this is not a database, and long enough to be looked at '.repeat(20))],
  ])('says so in one line, ends, and holds no lock: %s', async (_, name, content) => {
    await mkdir(home.paths.state, { recursive: true, mode: 0o700 });
    const path = join(home.paths.state, name);
    await writeFile(path, content, { mode: 0o600 });
    const { code, err } = await home.casemate(['ls'], { timeoutMs: 20_000 });
    expect({ code, err }).toEqual({
      code: 125,
      err: expect.stringMatching(new RegExp(`^casemate: cannot .*${name}: .*\\n  .*\\n$`)),
    });
    const told = await home.casemate(['ls', '--json'], { timeoutMs: 20_000 });
    expect(JSON.parse(told.err)).toMatchObject({ error: { code: 'STORE_FAILED', message: expect.stringContaining(path) } });
    expect(await readFile(path)).toEqual(content);
    if (name === 'state.sqlite') {
      await expect
        .poll(() => {
          const lock = takeDaemonLock(join(home.paths.state, 'daemon.lock'));
          lock?.release();
          return lock !== undefined;
        })
        .toBe(true);
    }
    expect(await home.casemate(['daemon', 'status', '--json'])).toMatchObject({ code: 0, out: '{\n  "daemon": null\n}\n' });
  });
});

describe('a daemon that is told nonsense', () => {
  it('answers what it can, hangs up on the rest, and serves the next caller', async () => {
    await home.casemate(['ls']);
    const pid = await daemonPid();
    const say = async (text: string): Promise<string> => {
      const socket = connect(socketPath(home.paths));
      let said = '';
      socket.on('data', (piece: Buffer) => {
        said += piece.toString();
        if (said.split('\n').length > 2) {
          socket.end();
        }
      });
      socket.on('error', () => undefined);
      socket.write(text);
      await new Promise((done) => socket.once('close', done));
      return said.split('\n')[1] ?? '';
    };
    for (const line of ['null', '7', '[]', '{}', '{"type":"call"}', '{"type":"answer","id":"x"}', 'nonsense']) {
      expect(await say(`${line}\n`)).toBe('');
    }
    for (const params of ['null', '{}', '{"name":7}', '[]', '{"cwd":1}', '{"name":"x","more":1}']) {
      for (const method of ['start', 'create', 'run', 'exec', 'close', 'shutdown', 'nothing', '__proto__']) {
        const answer = JSON.parse(await say(`{"type":"call","id":1,"method":"${method}","params":${params}}\n`));
        expect(answer).toMatchObject({ type: 'error', id: 1, error: { code: 'USAGE' } });
      }
    }
    expect(await daemonPid()).toBe(pid);
    expect(await readFile(join(home.paths.state, 'daemon.log'), 'utf8')).not.toMatch(/uncaught|unhandled/);
  });
});

describe('a daemon that dies while it is told to end', () => {
  it('has stopped nothing, and the command that told it says so', async () => {
    await mkdir(home.paths.runtime, { recursive: true, mode: 0o700 });
    const server = createServer((socket) => {
      socket.write(`${JSON.stringify({ type: 'hello', version: '0', build: 'x', pid: 1 })}\n`);
      socket.once('data', () => socket.destroy());
    });
    await new Promise<void>((done) => server.listen(socketPath(home.paths), done));
    const stop = await home.casemate(['daemon', 'stop', '--force']);
    await new Promise((done) => server.close(done));
    expect(stop).toMatchObject({ code: 125, out: '', err: expect.stringContaining('ended before it answered') });
    expect(await home.casemate(['daemon', 'stop'])).toMatchObject({ code: 0, out: 'no daemon is running\n' });
  });
});

describe('a daemon that lives and does not listen', () => {
  it('is waited for by who stops it, until it listens or is gone', async () => {
    await Promise.all([home.paths.state, home.paths.runtime].map((path) => mkdir(path, { recursive: true, mode: 0o700 })));
    const lock = takeDaemonLock(daemonLock(home.paths));
    const stopping = home.casemate(['daemon', 'stop']);
    // Long enough for it to have looked; where it has not, it finds the other case.
    await Promise.race([stopping, sleep(1500)]);
    const server = createServer((socket) => {
      socket.write(`${JSON.stringify({ type: 'hello', version: '0', build: 'x', pid: 1 })}\n`);
      socket.once('data', () => socket.end(`${JSON.stringify({ type: 'result', id: 1, value: { stopped: ['box'] } })}\n`));
    });
    await new Promise<void>((done) => server.listen(socketPath(home.paths), done));
    expect(await stopping).toMatchObject({ code: 0, out: 'stopped, and with it box\n' });
    await new Promise((done) => server.close(done));
    const again = home.casemate(['daemon', 'stop']);
    await Promise.race([again, sleep(1500)]);
    lock?.release();
    expect(await again).toMatchObject({ code: 0, out: 'no daemon is running\n' });
  });
});

describe('an end by SIGTERM', () => {
  it('leaves no lock, no socket and no process', async () => {
    await home.casemate(['ls']);
    const pid = await daemonPid();
    process.kill(pid, 'SIGTERM');
    await expect.poll(() => lives(pid), { timeout: 30_000 }).toBe(false);
    expect(await home.casemate(['daemon', 'status', '--json'])).toMatchObject({ out: '{\n  "daemon": null\n}\n' });
    expect(await home.casemate(['ls', '--json'])).toMatchObject({ code: 0, out: '[]\n' });
  });

  it.skipIf(!hasEngine).each(ways)(
    'leaves sandboxes and their commands running, and the next daemon takes them back, by %s',
    async (way) => {
      await home.remove();
      home = await makeHome(way);
      const [program, ...before] = home.program;
      await home.casemate(['create', 'kept']);
      await home.casemate(['start', 'kept']);
      // Both last until the daemon has gone, however long that takes.
      const untilGone = 'until test -e gone; do sleep 0.1; done';
      const running = home.casemate(['exec', 'kept', '--', 'sh', '-c', `touch begun; ${untilGone}; echo done`]);
      const thrown = spawn(program, [...before, 'run', '--', 'sh', '-c', `echo ready; ${untilGone}; echo over`], {
        cwd: home.project,
        env: home.env,
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      let out = '';
      thrown.stdout.on('data', (piece: Buffer) => {
        out += piece.toString();
      });
      const ended = new Promise<number | null>((done) => thrown.once('close', done));
      await expect.poll(() => out, { timeout: 20_000 }).toBe('ready\n');
      await expect.poll(() => existsSync(join(home.project, 'begun')), { timeout: 20_000 }).toBe(true);
      const pid = await daemonPid();
      process.kill(pid, 'SIGTERM');
      await expect.poll(() => lives(pid), { timeout: 30_000 }).toBe(false);
      expect(out).toBe('ready\n');
      await writeFile(join(home.project, 'gone'), '');
      expect([await ended, out]).toEqual([0, 'ready\nover\n']);
      expect(await running).toMatchObject({ code: 0, out: 'done\n' });
      expect(await daemonPid()).not.toBe(pid);
      await expect
        .poll(async () => JSON.parse((await home.casemate(['ls', '--json'])).out), { timeout: 15_000 })
        .toMatchObject([{ name: 'kept', state: 'running' }]);
      const records = (await home.casemate(['journal', 'query', '--json'])).out;
      expect(records).toContain('sandbox.adopt');
      expect(records).not.toContain('client-lost');
      expect(await home.casemate(['journal', 'verify'])).toMatchObject({ code: 0 });
    },
  );
});
