/** One session from the caller's side, by the whole program and by the short way of the launcher: the same of both. */
import { randomBytes } from 'node:crypto';
import { appendFile, readFile, rm, writeFile, symlink } from 'node:fs/promises';
import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { CasemateError } from '../../src/base/errors.ts';
import { visible } from '../../src/base/text.ts';
import { buildId } from '../../src/daemon/build-id.ts';
import { eventually } from '../../src/proof/eventually.ts';
import { entry, makeHome, ways, type Home } from '../helpers/cli.ts';
import { listenAs, opened, type Answers, type ToldDaemon } from '../helpers/told-daemon.ts';

const nothing = { timedOut: false, repositories: { paths: [], complete: true } };
const id = 'ex-0123456789abcdef';

describe.each(ways)('a session by %s', (way) => {
  let home: Home;
  let daemon: ToldDaemon | undefined;

  beforeEach(async () => {
    home = await makeHome(way);
  });

  afterEach(async () => {
    await daemon?.control.close();
    daemon = undefined;
    await rm(home.root, { recursive: true, force: true });
  });

  const serve = async (answers: Answers): Promise<ToldDaemon> => {
    daemon = await listenAs(home, buildId(way === 'node' ? entry : `${home.program[0]}.js`), {
      close: async () => nothing,
      ...answers,
    });
    return daemon;
  };
  /** Another is there before the first hangs up: whoever finds none would start a real one. */
  const restart = async (answers: Answers): Promise<ToldDaemon> => {
    const first = daemon;
    await first?.control.finish(0);
    const next = await serve(answers);
    await first?.control.close();
    return next;
  };
  const exec = (line: string, more = {}): Answers => ({ exec: async () => opened(home, line, more) });

  it('asks for the command with its words as they are, and reports its end', async () => {
    const words = ['printf', '%s', '$(id)`id`;id "\'\\ \n\t*', '', '--', '--json', 'ÄÖ €𝄞', '\u0001\u007f'];
    const { asked } = await serve(exec('printf out; printf err >&2; exit 7'));
    expect(await home.casemate(['exec', 'work', '--', ...words])).toMatchObject({ code: 7, out: 'out', err: 'err' });
    const client = {
      pid: expect.any(Number),
      startTicks: expect.stringMatching(/^\d+$/),
      boot: expect.stringMatching(/^[0-9a-f-]{36}$/),
    };
    expect(asked).toEqual([
      ['exec', { name: 'work', command: words, env: {}, tty: false, client }],
      ['close', { executionId: id, exitCode: 7 }],
    ]);
  });

  it('asks for a sandbox in the folder it is in', async () => {
    const { asked } = await serve({ run: async () => opened(home, 'exit 0') });
    expect(await home.casemate(['run', '--', 'true'])).toMatchObject({ code: 0, out: '', err: '' });
    const request = { cwd: home.project, readonly: false, skipPermissions: false, waive: [], trust: false };
    expect(asked).toEqual([
      ['run', { ...request, command: ['true'], keep: false, tty: false, client: expect.any(Object) }],
      ['close', { executionId: id, exitCode: 0 }],
    ]);
  });

  it('passes on what plain options say', async () => {
    const { asked } = await serve({ ...exec('exit 0'), run: async () => opened(home, 'exit 0') });
    const options = ['--env', 'A=b', '--cwd', 'deep/er', '--env', 'A=c=d\n', '--env', '_X1=', '--no-tty'];
    expect(await home.casemate(['exec', 'work', ...options, '--', '--env'])).toMatchObject({ code: 0, err: '' });
    expect(await home.casemate(['exec', 'work', '--cwd', '/tmp', '--', 'x'])).toMatchObject({ code: 0 });
    const choices = [
      '--name',
      'n1',
      '--engine',
      'docker',
      '--waive',
      'b',
      '--runtime',
      'runc',
      '--waive',
      'a',
      '--image',
      './r.yaml',
    ];
    expect(await home.casemate(['run', ...choices, '--', 'x'])).toMatchObject({ code: 0 });
    const client = expect.any(Object);
    expect(asked.filter(([method]) => method !== 'close').map(([, params]) => params)).toEqual([
      { name: 'work', command: ['--env'], env: { A: 'c=d\n', _X1: '' }, cwd: '/workspace/deep/er', tty: false, client },
      { name: 'work', command: ['x'], env: {}, cwd: '/tmp', tty: false, client },
      {
        cwd: home.project,
        readonly: false,
        skipPermissions: false,
        trust: false,
        keep: false,
        tty: false,
        name: 'n1',
        engine: 'docker',
        runtime: 'runc',
        image: './r.yaml',
        waive: ['b', 'a'],
        command: ['x'],
        client,
      },
    ]);
  });

  it('starts what it is told to with nothing of its own environment', async () => {
    await serve(exec('exec env'));
    const { out } = await home.casemate(['exec', 'work', '--', 'x'], { env: { SECRET: 'of the caller' } });
    expect(
      out
        .trim()
        .split('\n')
        .toSorted()
        .filter((line) => !/^(?:PWD|_|SHLVL)=/.test(line)),
    ).toEqual(['PATH=/usr/bin:/bin']);
  });

  it('starts it with nothing open and no signal ignored that its caller has so', async () => {
    await serve(exec('ls -l /proc/self/fd; grep SigIgn /proc/self/status; exit 5'));
    const line = `trap '' HUP USR1 PIPE CHLD; exec ${quoted(home.program)} exec work -- x 7</etc/hostname 9>&1`;
    const child = spawn('/bin/sh', ['-c', line], { cwd: home.project, env: home.env, stdio: ['ignore', 'pipe', 'inherit'] });
    const [out, code] = await Promise.all([text(child.stdout), ended(child)]);
    expect(code).toBe(5);
    expect(out).toContain(' 2 -> ');
    expect(out).not.toMatch(/ [79] -> /);
    expect(out).toMatch(/SigIgn:\t0+\n/);
  });

  it('passes bytes both ways, and keeps the first 4 MiB of them', async () => {
    const input = randomBytes(6 * 1024 * 1024);
    await serve(exec('exec cat'));
    const { raw } = await home.casemate(['exec', 'work', '--', 'cat'], { input });
    expect(raw.stdout.equals(input)).toBe(true);
    expect((await readFile(join(home.root, 'output.log'))).equals(input.subarray(0, 4 * 1024 * 1024))).toBe(true);
  });

  it('goes on without a copy where a link lies in its place, and does not follow it', async () => {
    await symlink(join(home.root, 'elsewhere'), join(home.root, 'output.log'));
    await serve(exec('printf out; exit 3'));
    expect(await home.casemate(['exec', 'work', '--', 'x'])).toMatchObject({
      code: 3,
      out: 'out',
      err: expect.stringContaining('casemate: output is not kept for casemate logs: '),
    });
    await expect(readFile(join(home.root, 'elsewhere'))).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it('does not keep one stream waiting for the reader of the other', async () => {
    await serve(exec('{ head -c 3000 /dev/zero; sleep 0.2; head -c 997000 /dev/zero; } & sleep 0.4; printf done >&2; wait'));
    // Nobody reads standard output before the other has been read.
    const reader = 'until grep -q done err; do sleep 0.05; done; wc -c';
    const line = `${quoted(home.program)} exec work -- x 2>err | { ${reader}; }`;
    const child = spawn('/bin/sh', ['-c', line], { cwd: home.project, env: home.env, stdio: ['ignore', 'pipe', 'inherit'] });
    expect(await text(child.stdout)).toBe('1000000\n');
  });

  it.each([
    ['SIGTERM', 15],
    ['SIGINT', 2],
    ['SIGHUP', 1],
    ['SIGUSR1', 10],
  ] as const)('passes %s on, and ends as the command does', async (signal, number) => {
    const { asked } = await serve(exec(`printf ready; exec sleep 60`));
    const child = start(['exec', 'work', '--', 'x']);
    child.stdout.once('data', () => child.kill(signal));
    expect(await ended(child)).toBe(128 + number);
    expect(asked.at(-1)).toEqual(['close', { executionId: id, exitCode: 128 + number }]);
  });

  it('leads the command in a session of its own, where a terminal sends nothing', async () => {
    await serve(
      exec(
        'read -r _ _ _ _ group session _ < /proc/self/stat; read -r _ _ _ _ _ mine _ < /proc/$PPID/stat; [ "$session" != "$mine" ]',
      ),
    );
    expect(await home.casemate(['exec', 'work', '--', 'x'])).toMatchObject({ code: 0, err: '' });
  });

  it('lets the command notice that its reader went away', async () => {
    await serve(exec('trap "" PIPE; while printf xxxxxxxxxxxxxxxx; do :; done 2>&-; exit 9'));
    const child = start(['exec', 'work', '--', 'x']);
    child.stdout.once('data', () => child.stdout.destroy());
    expect(await ended(child)).toBe(9);
  });

  it('says that output was lost where it cannot be written', async () => {
    const { asked } = await serve(exec('printf out'));
    const line = `${quoted(home.program)} exec work -- x > /dev/full`;
    const child = spawn('/bin/sh', ['-c', line], { cwd: home.project, env: home.env, stdio: ['ignore', 'ignore', 'pipe'] });
    expect(await text(child.stderr)).toBe('casemate: what the command printed is lost: ENOSPC\n');
    expect(asked.at(-1)).toEqual(['close', { executionId: id, exitCode: 125 }]);
  });

  it('says that what is to be started is not there', async () => {
    const { invocation, ...rest } = opened(home, '');
    const { asked } = await serve({
      exec: async () => ({ ...rest, invocation: { ...invocation, file: '/nonexistent/runtime' } }),
    });
    const { code, err } = await home.casemate(['exec', 'work', '--', 'x']);
    expect({ code, err }).toEqual({
      code: 125,
      err: expect.stringMatching(/^casemate: cannot start \/nonexistent\/runtime: .*ENOENT\n$/),
    });
    expect(asked.at(-1)).toEqual(['close', { executionId: id, exitCode: 125 }]);
  });

  it('reads from the runtime why it could not start the command', async () => {
    const errorLog = join(home.root, 'error.log');
    await writeFile(errorLog, 'exec failed: "nosuch": executable file not found in $PATH');
    const { asked } = await serve(exec('exit 255', { errorLog }));
    expect((await home.casemate(['exec', 'work', '--', 'nosuch'])).code).toBe(127);
    expect(asked.at(-1)).toEqual(['close', { executionId: id, exitCode: 127 }]);
  });

  it('says what the daemon refuses, once and with nothing in it that drives a terminal', async () => {
    const refuse = async () => {
      throw new CasemateError('SANDBOX_NOT_FOUND', 'no sandbox is named "w\u001b]0;x\u0007"', { hint: 'Run: casemate ls' });
    };
    const { asked } = await serve({ exec: refuse });
    expect(await home.casemate(['exec', 'work', '--', 'x'])).toMatchObject({
      code: 2,
      out: '',
      err: 'casemate: no sandbox is named "w\\x1b]0;x\\x07"\n  Run: casemate ls\n',
    });
    expect(asked).toHaveLength(1);
  });

  it('says what the daemon saw at the end', async () => {
    const paths = Array.from({ length: 7 }, (_, index) => `repo${index}\u001b\u2028`);
    await serve({ ...exec('exit 4'), close: async () => ({ timedOut: true, repositories: { paths, complete: false } }) });
    const { code, err } = await home.casemate(['exec', 'work', '--', 'x']);
    expect(code).toBe(124);
    expect(err).toContain('repo4\\x1b\\u{2028} and 2 more\n');
    expect(err).toContain('could not be searched to its end');
    expect(err).toMatch(/casemate: ended, because a time limit was reached \(exit code 124\)\n$/);
  });

  it('says that an end could not be recorded', async () => {
    const close = async () => {
      throw new CasemateError('JOURNAL_UNWRITABLE', 'the journal is full');
    };
    await serve({ ...exec('exit 4'), close });
    expect(await home.casemate(['exec', 'work', '--', 'x'])).toMatchObject({ code: 125, err: 'casemate: the journal is full\n' });
  });

  it('answers what only the caller knows, and shows what is going on in words that drive no terminal', async () => {
    const drivers = Array.from({ length: 0x10000 }, (_, code) => code).filter((code) => code < 0xd800 || code > 0xdfff);
    const format = Array.from({ length: 0x10_0000 }, (_, at) => at + 0x10000).filter((code) =>
      /\p{Cf}/u.test(String.fromCodePoint(code)),
    );
    const shown = String.fromCodePoint(...drivers.filter((code) => code !== 10), 0x1d11e, ...format);
    let answer: unknown;
    await serve({
      async run(_, call) {
        call.progress(shown);
        answer = await call.ask({ kind: 'environment', names: ['KEY', 'EMPTY', 'ABSENT', 'HOME'] });
        return opened(home, 'exit 0');
      },
    });
    const { code, err } = await home.casemate(['run', '--', 'x'], { env: { KEY: 'a"\\\n\u0001ä', EMPTY: '' } });
    expect({ code, answer }).toEqual({ code: 0, answer: { KEY: 'a"\\\n\u0001ä', HOME: home.env['HOME'] } });
    expect(err).toBe(`${visible(shown)}\n`);
  });

  it('is not asked for twice where the daemon ends before it answers', async () => {
    const { asked } = await serve({
      async exec() {
        await daemon?.control.close();
      },
    });
    expect(await home.casemate(['exec', 'work', '--', 'x'])).toMatchObject({
      code: 125,
      err: 'casemate: the daemon ended before it answered\n',
    });
    expect(asked).toHaveLength(1);
  });

  it('finds the daemon again that was restarted meanwhile, and tells it of the end once', async () => {
    const go = join(home.root, 'go');
    await serve(exec(`printf ready; while [ ! -e ${go} ]; do sleep 0.05; done; exit 6`));
    const child = start(['exec', 'work', '--', 'x']);
    await new Promise((resolve) => child.stdout.once('data', resolve));
    const { asked } = await restart({
      async resume(_, call) {
        return { known: (await call.ask({ kind: 'environment', names: ['HOME'] })) !== undefined };
      },
    });
    expect(await eventually(async () => asked.find(([method]) => method === 'resume'), 30_000)).toBeDefined();
    await appendFile(go, '');
    expect(await ended(child)).toBe(6);
    expect(asked).toEqual([
      ['resume', { executionId: id }],
      ['close', { executionId: id, exitCode: 6 }],
    ]);
  });

  it('is taken for lost where it is killed, also once the daemon was restarted', async () => {
    await serve(exec('printf ready; exec sleep 60'));
    const child = start(['exec', 'work', '--', 'x']);
    await new Promise((resolve) => child.stdout.once('data', resolve));
    const lost = Promise.withResolvers<void>();
    await restart({
      async resume(_, call) {
        call.onLost(lost.resolve);
        child.kill('SIGKILL');
        return { known: true };
      },
    });
    await lost.promise;
    await expect.poll(() => daemon?.control.connections()).toBe(0);
  });

  function start(args: readonly string[]) {
    const [file, ...before] = home.program;
    return spawn(file, [...before, ...args], { cwd: home.project, env: home.env, stdio: ['ignore', 'pipe', 'pipe'] });
  }
});

function quoted(words: readonly string[]): string {
  return words.map((word) => `'${word}'`).join(' ');
}

async function ended(child: ReturnType<typeof spawn>): Promise<number | string> {
  return await new Promise((resolve) => child.once('close', (code, signal) => resolve(code ?? signal ?? 'unknown')));
}
