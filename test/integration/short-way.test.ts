/** What the launcher does without Node, and what it leaves to the whole program, which here only says how it was started. */
import { spawn } from 'node:child_process';
import { mkdir, readFile, rename, rm, rmdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { json } from 'node:stream/consumers';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { buildId } from '../../src/daemon/build-id.ts';
import { socketPath } from '../../src/daemon/protocol.ts';
import { atTerminal } from '../../src/proof/outside/host-terminal.ts';
import { environmentOf } from '../../src/system/environment.ts';
import { pathsFrom } from '../../src/system/paths.ts';
import { run } from '../../src/system/process.ts';
import { makeHome, type Home } from '../helpers/cli.ts';
import { launcherFor } from '../helpers/launcher.ts';
import { listenAs, opened, type Answers, type ToldDaemon } from '../helpers/told-daemon.ts';

const program = `process.stdout.write(JSON.stringify({ words: process.argv.slice(2), env: process.env }));`;
const short = 'the short way';
const nothing = { timedOut: false, repositories: { paths: [], complete: true } };

describe('the short way of the launcher', () => {
  let home: Home;
  let launcher: string;
  let daemon: ToldDaemon | undefined;

  beforeEach(async () => {
    home = await makeHome();
    launcher = await launcherFor(program, join(home.root, 'made'));
  });

  afterEach(async () => {
    await daemon?.control.close();
    daemon = undefined;
    await rm(home.root, { recursive: true, force: true });
  });

  const answers = (): Answers => ({
    exec: async () => opened(home, `printf '"${short}"'`),
    run: async () => opened(home, `printf '"${short}"'`),
    close: async () => nothing,
  });

  async function serve({ env = home.env, build = buildId(`${launcher}.js`), ...more }: Partial<Serving> = {}): Promise<void> {
    const paths = pathsFrom(environmentOf(env), process.geteuid?.() ?? 0);
    daemon = await listenAs({ ...home, paths }, build, more.answers ?? answers());
  }

  interface Serving {
    readonly env: Record<string, string>;
    readonly build: string;
    readonly answers: Answers;
  }

  /** What came of it: the output of the command, or how the program was started. */
  async function said(
    args: readonly string[],
    env: Readonly<Record<string, string>> = home.env,
    file = launcher,
  ): Promise<unknown> {
    const { stdout, stderr } = await run(file, args, { cwd: home.project, env });
    expect(stderr.toString('utf8')).toBe('');
    return JSON.parse(stdout.toString('utf8'));
  }

  const plain = ['exec', 'work', '--', 'true'];

  it('is taken where everything is plain, also over a link and from another folder', async () => {
    await serve();
    expect(await said(plain)).toBe(short);
    expect(await said(['exec', 'work', '--env', 'A=b', '--cwd', 'x', '--no-tty', '--', 'true'])).toBe(short);
    expect(await said(['run', '--engine', 'oci', '--waive', 'seccomp', '--', 'true'])).toBe(short);
    expect(await said(['run', '--', 'true'])).toBe(short);
    await mkdir(join(home.project, 'node_modules/.bin'), { recursive: true });
    await symlink('../../../made/dist/casemate', join(home.project, 'node_modules/.bin/casemate'));
    await symlink('node_modules/.bin/casemate', join(home.project, 'second'));
    expect(await said(plain, home.env, join(home.project, 'second'))).toBe(short);
    expect(await said(plain, { ...home.env, LC_ALL: 'xx_XX.UTF-8' })).toBe(short);
  });

  it.each([
    ['of a root', (root: string) => ({ CASEMATE_HOME: `${root}/a b` })],
    ['of the session', (root: string) => ({ CASEMATE_HOME: '', XDG_RUNTIME_DIR: `${root}/session` })],
  ])('finds the socket %s where the whole program does', async (_, change) => {
    const env = { ...home.env, ...change(home.root) };
    await serve({ env });
    expect(await said(plain, env)).toBe(short);
    await daemon?.control.close();
    // Nobody listens there now: that very socket was it.
    expect(await said(plain, env)).toMatchObject({ words: plain });
  });

  it.each([
    [{ CASEMATE_HOME: 'relative' }],
    [{ CASEMATE_IMAGES: 'relative' }],
    [{ HOME: '' }],
    [{ PERL5OPT: '-Mnonexistent' }],
    [{ PERL5LIB: '/tmp' }],
    [{ PERL_UNICODE: 'SDA' }],
    [{ PERLIO: ':crlf' }],
    [{ PERL_HASH_SEED_DEBUG: '1' }],
    [{ CASEMATE_LONG_WAY: '1' }],
  ])('leaves %j to the whole program, with what it was given', async (change) => {
    await serve();
    const env = { ...home.env, ...change };
    const { words, env: seen } = (await said(plain, env)) as { words: unknown; env: Record<string, string> };
    const { CASEMATE_LONG_WAY: _own, PWD: _folder, OLDPWD: _last, SHLVL: _level, _: _program, ...rest } = seen;
    const { CASEMATE_LONG_WAY: _given, ...expected } = env as Record<string, string>;
    expect({ words, rest }).toEqual({ words: plain, rest: expected });
    expect(daemon?.asked).toEqual([]);
  });

  it.each([
    [['exec', 'work', '--']],
    [['exec', '', '--', 'true']],
    [['exec', '--help', '--', 'true']],
    [['exec', 'work', '--timeout', '1s', '--', 'true']],
    [['exec', 'work', '--env=A=b', '--', 'true']],
    [['exec', 'work', '--env', 'A', '--', 'true']],
    [['exec', 'work', '--env', '--', 'true']],
    [['exec', 'work', '--env', '-A=b', '--', 'true']],
    [['exec', 'work', '--cwd', '', '--', 'true']],
    [['exec', 'work', '--cwd', '../etc', '--', 'true']],
    [['exec', 'work', '--cwd', '/a//b/', '--', 'true']],
    [['exec', 'work', '--cwd', 'a', '--cwd', 'a', '--', 'true']],
    [['exec', '--env', 'A=b', 'work', '--', 'true']],
    [['run', '--engine', '--', 'true']],
    [['run', '--engine', 'oci', '--engine', 'oci', '--', 'true']],
    [['run', '--policy', 'x', '--', 'true']],
    [['run', '--help', '--', 'true']],
    [['run', '--image', '-x', '--', 'true']],
    [['run', 'x', '--', 'true']],
    [['exec', 'work', 'true']],
    [['exec', 'work', '--no-tty', 'true']],
    [['exec', 'work', '--no-tty', '--no-tty', '--', 'true']],
    [['run', '--no-tty', '--', 'true']],
    [['run', '--']],
    [['run', '--keep', '--', 'true']],
    [['run']],
    [['run', '--json']],
    [['ls', '--json']],
    [['destroy', 'run', '--', 'x']],
    [[]],
    [['', ' ', '\'"\\ $(id)\n']],
  ])('leaves %j to the whole program', async (args) => {
    await serve();
    expect(await said(args)).toMatchObject({ words: args });
    expect(daemon?.asked).toEqual([]);
  });

  it('leaves all to the whole program where perl is empty, has no module or cannot read it', async () => {
    await serve();
    const text = await readFile(launcher, 'utf8');
    const empty = join(home.root, 'perl');
    await writeFile(empty, '', { mode: 0o755 });
    for (const broken of [
      text.replaceAll('/usr/bin/perl', empty),
      text.replace('use strict;', 'use strict::that::is::not::there;'),
      text.replace('sub EINTR', 'class Odd { method EINTR'),
    ]) {
      await writeFile(launcher, broken);
      expect(await said(plain)).toMatchObject({ words: plain });
    }
    expect(daemon?.asked).toEqual([]);
    // What fails once it runs is no such thing.
    await writeFile(launcher, text.replace('sub begin {', 'sub begin { die "late\n";'));
    const { exitCode, stdout, stderr } = await run(launcher, plain, { cwd: home.project, env: home.env });
    expect([exitCode, stdout.toString(), stderr.toString()]).toEqual([
      125,
      '',
      String.raw`casemate: a defect of the short way: late\x0a`,
    ]);
  });

  it('leaves a daemon of another build, one that says nothing, and none to the whole program', async () => {
    expect(await said(plain)).toMatchObject({ words: plain });
    await serve({ build: `${buildId(`${launcher}.js`)}1` });
    expect(await said(plain)).toMatchObject({ words: plain });
    expect(daemon?.asked).toEqual([]);
    await daemon?.control.close();
    await mkdir(socketPath(home.paths));
    expect(await said(plain)).toMatchObject({ words: plain });
    await rmdir(socketPath(home.paths));
  });

  it('leaves a word that is no UTF-8, a stream that is closed and a folder that is gone to the whole program', async () => {
    await serve();
    const shell = async (line: string): Promise<unknown> => {
      const child = spawn('/bin/sh', ['-c', line, 'sh', launcher], {
        cwd: home.project,
        env: home.env,
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      return await json(child.stdout);
    };
    expect(await shell(String.raw`exec "$1" exec work -- "$(printf '\377')"`)).toMatchObject({
      words: ['exec', 'work', '--', '\ufffd'],
    });
    expect(await shell(String.raw`exec "$1" exec work -- "$(printf '\355\240\200')"`)).toMatchObject({
      words: ['exec', 'work', '--', expect.any(String)],
    });
    expect(await shell('exec "$1" exec work -- true <&-')).toMatchObject({ words: plain });
    expect(await shell('mkdir gone; cd gone; rmdir ../gone; mkdir "../gone (deleted)"; exec "$1" run -- true')).toMatchObject({
      words: ['run', '--', 'true'],
    });
    expect(daemon?.asked).toEqual([]);
  });

  it('leaves a question for a person to the whole program, which asks again from the start', async () => {
    let answer: unknown = 'none';
    await serve({
      answers: {
        async run(_, call) {
          answer = await call.ask({ kind: 'trust', path: '/x', grants: ['all'] });
          throw new Error('nobody agreed');
        },
      },
    });
    expect(await said(['run', '--', 'true'])).toMatchObject({ words: ['run', '--', 'true'] });
    await expect.poll(() => answer).toBeUndefined();
  });

  it('runs nothing that lies in the folder it is called from, or in one of PATH', async () => {
    await serve();
    const evil = '#!/bin/sh\nprintf \'"evil"\'\n';
    for (const name of ['perl', 'sh', 'readlink', 'dirname', 'strict.pm', 'feature.pm', 'warnings.pm']) {
      await writeFile(join(home.project, name), name.endsWith('.pm') ? 'print "\\"evil\\""; exit 0;' : evil, { mode: 0o755 });
    }
    const env = { ...home.env, PATH: `${home.project}:.:${home.env['PATH']}`, PERL_USE_UNSAFE_INC: '1' };
    expect(await said(plain, env)).toBe(short);
    await symlink(launcher, join(home.root, 'link'));
    expect(await said(['ls'], env, join(home.root, 'link'))).toMatchObject({ words: ['ls'] });
  });

  /** The new process of the command gets a signal before it does anything. */
  async function signalAtFork(signal: string): Promise<void> {
    const text = await readFile(launcher, 'utf8');
    const begin = 'BEGIN { $^W = 1 }';
    const forked = `BEGIN { *CORE::GLOBAL::fork = sub () { my $new = CORE::fork(); kill '${signal}', $$ if !$new; return $new } }`;
    expect(text).toContain(begin);
    await writeFile(
      launcher,
      text.replace(begin, () => `${begin} ${forked}`),
      { mode: 0o755 },
    );
  }

  it('hands a signal on to a command that is being started', async () => {
    await serve();
    await signalAtFork('TERM');
    const { exitCode, stdout } = await run(launcher, plain, { cwd: home.project, env: home.env });
    expect([exitCode, stdout.toString('utf8')]).toEqual([143, '']);
    expect(daemon?.asked.at(-1)).toMatchObject(['close', { exitCode: 143 }]);
  });

  it.each([
    ['INT', 130],
    ['QUIT', 131],
  ])('leaves a command at a terminal that is being started the %s of its keys', async (signal, code) => {
    await serve();
    await signalAtFork(signal);
    const typed = ['/bin/sh', '-c', 'exec "$0" exec work -- true > /dev/tty', launcher];
    const [file = '', ...args] = await atTerminal('word', typed);
    const { exitCode } = await run(file, args, { cwd: home.project, env: home.env });
    expect([exitCode, daemon?.asked.map(([method]) => method)]).toEqual([code, ['exec', 'close']]);
    expect(daemon?.asked[0]).toMatchObject(['exec', { tty: {} }]);
  });

  it('does without the program once a daemon runs', async () => {
    await serve();
    await rename(join(home.root, 'made/node_modules'), join(home.root, 'made/hidden'));
    expect(await said(plain, { ...home.env, PATH: '/nonexistent' })).toBe(short);
  });
});

describe('its JSON', () => {
  const given = fc.letrec((tie) => ({
    value: fc.oneof(
      { maxDepth: 4 },
      fc.string({ unit: 'binary' }),
      fc.array(tie('value')),
      fc.dictionary(fc.string({ unit: 'binary' }), tie('value')),
    ),
  })).value;

  /** A line of JSON in, the same value out, by nothing but what the short way reads and writes with. */
  async function throughPerl(lines: readonly string[]): Promise<readonly string[]> {
    const json = await readFile(join(import.meta.dirname, '../../src/cli/short-way/json.pl'), 'utf8');
    const back = `sub back {
      my ($value) = @_;
      return '[' . join(',', map { back($_) } @$value) . ']' if ref $value eq 'ARRAY';
      return '{' . join(',', map { quoted($_) . ':' . back($value->{$_}) } sort keys %$value) . '}' if ref $value;
      return quoted($value // 'null');
    }
    while (<STDIN>) { my $value = eval { parsed($_) }; print defined $value ? back($value) : 'none', "\n" }`;
    const { stdout } = await run('/usr/bin/perl', ['-e', `use strict; ${json} ${back}`], {
      env: {},
      input: `${lines.join('\n')}\n`,
    });
    return stdout.toString('utf8').split('\n').slice(0, -1);
  }

  it('reads what Node writes, in any spacing that JSON has, and writes what Node reads', async () => {
    const values = fc.sample(given, 300);
    const lines = values.map((value, index) =>
      index % 2 === 0 ? JSON.stringify(value) : JSON.stringify(value, undefined, '\t').replaceAll('\n', '\r '),
    );
    const back = (await throughPerl(lines)).map((line): unknown => JSON.parse(line));
    expect(back).toEqual(values);
    // A half of a pair alone is no character.
    expect(await throughPerl(['"\\ud800x\\udc00\\ud83d\\ude00"'])).toEqual(['"\ufffdx\ufffd\u{1f600}"']);
  });

  it('takes nothing else for JSON', async () => {
    const bad = ['', '{', '[1,]', '{"a":1,}', '{"a"}', '"\\x"', '"', 'nul', '[1 2]', '{"a":1} x', "'a'", '"\\ud8"'];
    expect(new Set(await throughPerl(bad))).toEqual(new Set(['none']));
  });
});
