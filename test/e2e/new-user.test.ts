import { spawn } from 'node:child_process';
import { mkdir, rm, rmdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { run } from '../../src/system/process.ts';
import { entry, makeHome, wholeWayLacks, type Home } from '../helpers/cli.ts';
import { engineOrSkip } from '../helpers/require-engine.ts';

/** What somebody meets who has never used it: pipes, odd folders, no network, a full disk, misunderstandings. */

describe.skipIf(!engineOrSkip('oci', await wholeWayLacks()))('a new user', { timeout: 180_000 }, () => {
  let home: Home;

  beforeAll(async () => {
    home = await makeHome();
  });

  afterAll(async () => {
    await home.remove();
  });

  /** A line of shell in which `casemate` is the command line under test. */
  async function shell(line: string): Promise<{ code: number; out: string; err: string }> {
    const script = `casemate() { "${process.execPath}" "${entry}" "$@"; }\n${line}`;
    const result = await run('bash', ['-c', script], { cwd: home.project, env: home.env, timeoutMs: 170_000 });
    return { code: result.exitCode, out: result.stdout.toString('utf8'), err: result.stderr.toString('utf8') };
  }

  it('gives the level `service` the configuration of a service account, and no other', async () => {
    const service = join(home.paths.config, 'service/.claude/commands');
    const own = join(home.env['HOME'] ?? '', '.claude/commands');
    for (const [folder, text] of [
      [service, 'of the service'],
      [own, 'of the user'],
    ] as const) {
      await mkdir(folder, { recursive: true, mode: 0o700 });
      await writeFile(join(folder, 'nightly.md'), text);
    }
    const policy = join(home.root, 'service.yaml');
    await writeFile(policy, 'version: 1\nlevel: service\nagent: claude\nimage: base\n');
    const options = { env: { ANTHROPIC_API_KEY: 'sk-ant-api03-not-a-real-key-0000000000' } };
    const command = ['sh', '-c', 'cat ~/.claude/commands/nightly.md'];
    expect(await home.casemate(['run', '--policy', policy, '--trust', '--', ...command], options)).toMatchObject({
      code: 0,
      out: 'of the service',
    });
  });

  it('ends without a word when the reader of its output has seen enough', async () => {
    for (const command of ['doctor', 'image show base --json', 'image ls --json', '--help', 'plan']) {
      const { out, err } = await shell(`casemate ${command} | head -c 1`);
      expect({ command, length: out.length, err }).toEqual({ command, length: 1, err: '' });
    }
  });

  it('says that what it prints cannot be written, instead of losing it', async () => {
    for (const command of ['ls', 'run -- echo lost']) {
      const { code, err } = await shell(`casemate ${command} > /dev/full`);
      expect({ command, code }).toEqual({ command, code: 125 });
      expect(err).toContain('ENOSPC');
      expect(err.trim().split('\n')).toHaveLength(1);
    }
    expect(JSON.parse((await shell('casemate ls --json > /dev/full')).err)).toMatchObject({
      error: { code: 'OUTPUT_UNWRITABLE' },
    });
  });

  it('works in folders of any name', async () => {
    for (const name of ['sp ace', `qu'o"te`, 'ünï-日本', '-dash', 'a,b:c=d', '$(id)', 'new\nline']) {
      const folder = join(home.root, name);
      await mkdir(folder);
      await writeFile(join(folder, 'f'), 'seen');
      const { code, out, err } = await home.casemate(['run', '--', 'cat', 'f'], { cwd: folder });
      expect({ name, code, out, err }).toEqual({ name, code: 0, out: 'seen', err: '' });
    }
    await symlink('sp ace', join(home.root, 'link'));
    expect(await home.casemate(['run', '--workspace', '../link', '--', 'ls'])).toMatchObject({
      code: 0,
      out: expect.stringMatching(/^f$/m),
    });
  });

  it('says in one line that the working folder is gone', async () => {
    const gone = join(home.root, 'gone');
    await mkdir(gone);
    const child = spawn('bash', ['-c', `rmdir "${gone}"; exec "${process.execPath}" "${entry}" ls`], {
      cwd: gone,
      env: home.env,
    });
    let err = '';
    child.stderr.on('data', (piece: Buffer) => (err += piece.toString('utf8')));
    const code = await new Promise((done) => child.once('close', done));
    await rmdir(gone).catch(() => undefined);
    expect({ code, err }).toEqual({
      code: 2,
      err: 'casemate: the working folder was removed\n  cd into a folder that exists.\n',
    });
  });

  it('does not pass over a policy under a name that is not read', async () => {
    const folder = join(home.root, 'ending');
    await mkdir(folder);
    await writeFile(join(folder, 'casemate.yml'), 'version: 1\n');
    const { code, err } = await home.casemate(['run', '--', 'true'], { cwd: folder });
    expect({ code, err }).toMatchObject({ code: 2, err: expect.stringContaining(`Name it ${join(folder, 'casemate.yaml')}.`) });
  });

  it('refuses what cannot be meant with code 2', async () => {
    const cases: readonly (readonly [readonly string[], string])[] = [
      [['run', '--prompt', 'x', '--', 'true'], '--prompt is for the agent'],
      [['run', '--image', 'bse', '--', 'true'], 'Did you mean base?'],
      [['image', 'build', 'bse'], 'Did you mean base?'],
      [['doctor', '--runtime', 'docker'], 'Runtimes: runc, crun, runsc.'],
      [['policy', 'explain', 'example.com', 'GET', 'v1'], 'does not start with /'],
      [['journal', 'verify', 'nowhere'], 'cannot check nowhere: it does not exist'],
      [['journal', 'verify', '--bundle', entry], 'is not a folder'],
      [['journal', 'verify', '--bundle', 'nowhere'], 'it does not exist'],
      [['rnu', '--', 'true'], 'unknown command "rnu"\n  Did you mean: casemate run?'],
      [['snapshot', 'rm', 'work', 'first'], '"first" is not the id of a snapshot'],
      [['caller', 'add', 'C I', '--root', '.'], '"C I" is not the name of a caller'],
      [['policy', 'propose', '--from-journal', 'nobody'], 'no record tells of a sandbox "nobody"'],
      [['credentials', 'rotate'], 'For example: casemate credentials rotate github'],
      // Before a value is asked for, an image is built, a workspace is copied, attacks are made, a client has connected.
      [['credentials', 'set', 'mine', '--provider', 'nobody'], 'there is no provider "nobody"'],
      [['credentials', 'set', 'mine', '--host', 'a b'], '--host "a b"'],
      [['tour', '--runtime', 'docker'], '--runtime: runtime must be one of'],
      [['learn', '--write', 'org', '--', 'true'], '--write "org" is neither user nor project'],
      [['prove', '--html', '/nowhere/proof.html'], 'cannot write the report to /nowhere/proof.html'],
      [['mcp', '--policy', 'nowhere'], 'is not a file'],
    ];
    for (const [args, text] of cases) {
      const { code, out, err } = await home.casemate(args);
      expect({ args, code, out, err }).toEqual({ args, code: 2, out: '', err: expect.stringContaining(text) });
      expect(err.trim().split('\n').length).toBeLessThanOrEqual(2);
    }
  });

  it('prints what it prints as JSON, too', async () => {
    for (const command of [
      'doctor',
      'ls',
      'plan',
      'policy check',
      'policy schema',
      'policy explain example.com',
      'image ls',
      'daemon status',
    ]) {
      const { out } = await home.casemate([...command.split(' '), '--json']);
      expect(() => JSON.parse(out), command).not.toThrow();
    }
  });

  it('tells npm in words why a package cannot be fetched', async () => {
    await writeFile(join(home.project, 'package.json'), '{"name":"x","version":"1.0.0"}');
    const { code, err } = await home.casemate(['run', '--', 'npm', 'install', 'left-pad']);
    await rm(join(home.project, 'package.json'));
    expect(code).toBe(1);
    expect(err).toMatch(/403 Forbidden .*casemate: no rule allows .*casemate approve ask-/);
  });

  it('lets git commit, and not change what git runs', async () => {
    const script =
      'cd "$0" && git init -q && git config user.email a@example.com && git config user.name a && git commit -q --allow-empty -m one';
    const folder = join(home.root, 'repository');
    await mkdir(folder);
    await run('sh', ['-c', script, folder], { env: home.env });
    const inside =
      'echo b > b && git add b && git commit -q -m two && git log --format=%s; git config core.hooksPath /tmp; echo > .git/hooks/pre-commit';
    const { out, err } = await home.casemate(['run', '--', 'sh', '-c', inside], { cwd: folder });
    expect(out).toBe('two\none\n');
    expect(err).toContain('could not lock config file');
    expect(err).toContain('pre-commit: Read-only file system');
  });

  it('runs without a network, and says so where an image needs one', async () => {
    const env = { ...home.env, CASEMATE_HOME: join(home.root, 'offline') };
    const offline = async (
      args: readonly string[],
      more: Readonly<Record<string, string>> = {},
    ): Promise<{ code: number; out: string; err: string }> => {
      const result = await run('unshare', ['--net', process.execPath, entry, ...args], {
        cwd: home.project,
        env: { ...env, ...more },
        timeoutMs: 170_000,
      });
      return { code: result.exitCode, out: result.stdout.toString('utf8'), err: result.stderr.toString('utf8') };
    };
    expect(await offline(['run', '--', 'echo', 'on'])).toEqual({ code: 0, out: 'on\n', err: '' });
    const built = await offline(['image', 'build', 'base'], { CASEMATE_IMAGES: join(home.root, 'offline/images') });
    expect(built).toMatchObject({ code: 125, err: expect.stringContaining('the package lists of Debian cannot be fetched') });
    await offline(['daemon', 'stop', '--force']);
  });

  it.skipIf(process.geteuid?.() !== 0)('says that the disk is full, and goes on when there is room again', async () => {
    const folder = join(home.root, 'small');
    await mkdir(folder);
    expect(await run('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'none', folder], { env: home.env })).toMatchObject({
      exitCode: 0,
    });
    const env = { CASEMATE_HOME: join(folder, 'casemate') };
    try {
      expect(await home.casemate(['run', '--', 'true'], { env })).toMatchObject({ code: 0 });
      await run('dd', ['if=/dev/zero', `of=${join(folder, 'fill')}`, 'bs=64k', 'count=100'], { env: home.env });
      expect(await home.casemate(['run', '--', 'true'], { env })).toMatchObject({
        code: 125,
        err: expect.stringContaining('full'),
      });
      await rm(join(folder, 'fill'));
      expect(await home.casemate(['run', '--', 'echo', 'again'], { env })).toMatchObject({ code: 0, out: 'again\n' });
      expect(await home.casemate(['journal', 'verify'], { env })).toMatchObject({ code: 0 });
    } finally {
      await home.casemate(['daemon', 'stop', '--force'], { env });
      await run('umount', ['-l', folder], { env: home.env });
    }
  });
});
