import { randomBytes } from 'node:crypto';
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { makeHome, oddRows, ways, wholeWayLacks, type Home } from '../helpers/cli.ts';
import { engineOrSkip } from '../helpers/require-engine.ts';

describe.skipIf(!engineOrSkip('oci', await wholeWayLacks())).each(ways)('the command line by %s', (way) => {
  let home: Home;

  beforeAll(async () => {
    home = await makeHome(way);
  });

  afterAll(async () => {
    await home.remove();
  });

  it('runs a command in any folder without a policy and leaves nothing behind', async () => {
    const { code, out, err } = await home.casemate(['run', '--', 'sh', '-c', 'id -u; pwd; echo made > made; ls -A ~']);
    expect({ code, out, err }).toMatchObject({ code: 0, err: '' });
    expect(out.split('\n').slice(0, 2)).toEqual(['1000', '/workspace']);
    expect(await readFile(join(home.project, 'made'), 'utf8')).toBe('made\n');
    expect((await stat(join(home.project, 'made'))).uid).toBe((await stat(home.project)).uid);
    await expect.poll(async () => JSON.parse((await home.casemate(['ls', '--json'])).out)).toEqual([]);
  });

  it('gives the exit code of the command', async () => {
    expect((await home.casemate(['run', '--', 'sh', '-c', 'exit 7'])).code).toBe(7);
    expect((await home.casemate(['run', '--', 'sh', '-c', 'kill -TERM $$'])).code).toBe(143);
    expect((await home.casemate(['run', '--', 'no-such-program'])).code).toBe(127);
    expect((await home.casemate(['run', '--', '/etc/passwd'])).code).toBe(126);
  });

  it.each([
    [['run', '--queue', 'banana', '--', 'true'], '--queue "banana" is not a time'],
    [['start', 'work', '--queue', '2h'], '--queue is longer than an hour'],
  ])('says what is wrong with %j, and ends, also where a daemon runs', async (args, words) => {
    await home.casemate(['ls']);
    const { code, err } = await home.casemate(args, { timeoutMs: 20_000 });
    expect({ code, err }).toMatchObject({ code: 2, err: expect.stringContaining(words) });
  });

  it('ends with 124 when the time is over, and says so', async () => {
    const { code, err } = await home.casemate(['run', '--timeout', '1500ms', '--', 'sleep', '60']);
    expect({ code, err }).toEqual({ code: 124, err: expect.stringMatching(/^casemate: .*time limit.*\n$/) });
  });

  it('ends a command in a kept sandbox with 124, with all it started', async () => {
    await home.casemate(['create', 'slow']);
    await home.casemate(['start', 'slow']);
    const started = performance.now();
    const { code } = await home.casemate(['exec', 'slow', '--timeout', '1s', '--', 'sh', '-c', 'sleep 61 & sleep 62']);
    expect(code).toBe(124);
    // Long before it would have ended by itself.
    expect(performance.now() - started).toBeLessThan(40_000);
    const left = async () =>
      (await home.casemate(['exec', 'slow', '--', 'sh', '-c', 'ps -e -o args= | grep -c "[s]leep 6"'])).out;
    await expect.poll(left).toBe('0\n');
    await home.casemate(['destroy', 'slow', '--confirm', 'slow']);
  });

  it('passes bytes through as they are, both ways, and closes standard input', async () => {
    const input = randomBytes(2_000_000);
    const { raw } = await home.casemate(['run', '--', 'cat'], { input });
    expect(raw.stdout.equals(input)).toBe(true);
    const both = await home.casemate(['run', '--', 'sh', '-c', 'printf "\\033[31mout"; printf err >&2; cat'], { input: '' });
    expect([both.code, both.out, both.err]).toEqual([0, '\u001b[31mout', 'err']);
  });

  describe('with a named sandbox', () => {
    beforeAll(async () => {
      expect(await home.casemate(['create', 'work'])).toMatchObject({ code: 0 });
      expect(await home.casemate(['start', 'work'])).toMatchObject({ code: 0, out: 'work  running\n' });
    });

    afterAll(async () => {
      expect(await home.casemate(['destroy', 'work', '--confirm', 'work'])).toMatchObject({ code: 0 });
    });

    it('runs a command in a folder inside, which a relative path is below the workspace', async () => {
      await mkdir(join(home.project, 'deep/er'), { recursive: true });
      const at = async (cwd: string) => (await home.casemate(['exec', 'work', '--cwd', cwd, '--', 'pwd'])).out;
      expect([await at('deep/er'), await at('/tmp')]).toEqual(['/workspace/deep/er\n', '/tmp\n']);
    });

    it('hands arguments over literally', async () => {
      const { out } = await home.casemate(['exec', 'work', '--', 'printf', '%s', '$(id)`id`;id "\'\\ \n\t*']);
      expect(out).toBe('$(id)`id`;id "\'\\ \n\t*');
    });

    it('keeps workspace and home over stop and start', async () => {
      await home.casemate(['exec', 'work', '--', 'sh', '-c', 'echo h > ~/h; echo w > /workspace/w']);
      expect(await home.casemate(['stop', 'work'])).toMatchObject({ code: 0, out: 'work  stopped\n' });
      expect(await home.casemate(['exec', 'work', '--', 'true'])).toMatchObject({ code: 125 });
      expect(await home.casemate(['start', 'work'])).toMatchObject({ code: 0 });
      expect((await home.casemate(['exec', 'work', '--', 'sh', '-c', 'cat ~/h /workspace/w'])).out).toBe('h\nw\n');
    });

    it('shows it in ls, inspect, stats and logs, as text and as JSON', async () => {
      const [row] = JSON.parse((await home.casemate(['ls', '--json'])).out);
      expect(row).toMatchObject({ name: 'work', state: 'running', level: 'personal', workspace: home.project, mode: 'direct' });
      const inspected = JSON.parse((await home.casemate(['inspect', 'work', '--json'])).out);
      expect(oddRows(inspected)).toEqual([]);
      expect(inspected.seen.flatMap(({ rows }: { rows: readonly unknown[] }) => rows).length).toBeGreaterThan(40);
      expect(JSON.parse((await home.casemate(['stats', 'work', '--json'])).out)).toMatchObject({
        state: 'running',
        pidsLimit: 512,
      });
      await home.casemate(['exec', 'work', '--', 'printf', '\\033]0;title\\007seen\\n']);
      const logs = await home.casemate(['logs', 'work']);
      expect(logs.out).toContain('\\x1b]0;title\\x07seen');
      expect(logs.out).not.toContain('\u001b');
    });

    it('refuses a name in use, a missing sandbox and a wrong name in one line', async () => {
      expect(await home.casemate(['create', 'work'])).toMatchObject({
        code: 2,
        err: expect.stringContaining('a sandbox named "work" exists'),
      });
      expect(await home.casemate(['exec', 'wrk', '--', 'true'])).toMatchObject({
        code: 2,
        err: expect.stringContaining('Did you mean "work"?'),
      });
      expect(await home.casemate(['create', 'No/Good'])).toMatchObject({
        code: 2,
        err: expect.stringContaining('is not a sandbox name'),
      });
    });

    it('removes nothing without the name typed, and says when it is already gone', async () => {
      await home.casemate(['create', 'other']);
      expect(await home.casemate(['destroy', 'other'], { input: '' })).toMatchObject({
        code: 2,
        err: expect.stringContaining('nothing was changed'),
      });
      expect(await home.casemate(['destroy', 'other', '--confirm', 'othre'])).toMatchObject({ code: 2 });
      expect((await home.casemate(['inspect', 'other'])).code).toBe(0);
      const done = await home.casemate(['destroy', 'other', '--confirm', 'other']);
      expect(done).toMatchObject({ code: 0, out: expect.stringContaining(`kept: workspace ${home.project}`) });
      expect(await home.casemate(['destroy', 'other', '--confirm', 'other'])).toMatchObject({
        code: 0,
        out: 'other is already gone\n',
      });
    });
  });

  it('refuses bad input with one clear line and code 2', async () => {
    const cases: readonly (readonly [readonly string[], string])[] = [
      [['rnu'], 'Did you mean'],
      [['run', '--nmae', 'x', '--', 'true'], 'unknown option --nmae'],
      [['run', '--workspace', '/no/such/folder', '--', 'true'], 'does not exist'],
      [['run', '--workspace', '/etc', '--', 'true'], 'is refused'],
      [['run', '--workspace', '/', '--', 'true'], 'is refused'],
      [['run', '--waive', 'secomp', '--', 'true'], 'secomp'],
      [['run', '--agent', 'cluade', '--', 'true'], 'Did you mean "claude"?'],
      [['run', '--timeout', '5', '--', 'true'], 'is not a time'],
      [['run', '--runtime', 'docker', '--', 'true'], 'docker'],
      [['run'], 'no command is given'],
    ];
    for (const [args, text] of cases) {
      const { code, out, err } = await home.casemate(args);
      expect({ args, code, out }).toEqual({ args, code: 2, out: '' });
      expect(err).toContain(text);
      expect(err.trim().split('\n').length).toBeLessThanOrEqual(2);
    }
  });

  it('says where a policy is wrong, and starts nothing', async () => {
    const folder = join(home.root, 'bad');
    await mkdir(folder);
    await writeFile(join(folder, 'casemate.yaml'), 'version: 1\nlimits:\n  memroy: 1GiB\n');
    const { code, err } = await home.casemate(['run', '--', 'true'], { cwd: folder });
    expect(code).toBe(2);
    expect(err).toContain(`${join(folder, 'casemate.yaml')}:3:3`);
    expect(err).toContain('memory');
  });

  it('asks a person before a project opens anything, and remembers the answer for that content only', async () => {
    const folder = join(home.root, 'asking');
    await mkdir(folder);
    await writeFile(join(folder, 'casemate.yaml'), 'version: 1\nnetwork:\n  - host: api.example.com\n');
    const refused = await home.casemate(['run', '--', 'true'], { cwd: folder });
    expect(refused).toMatchObject({ code: 2, err: expect.stringContaining('reaches api.example.com on port 443') });
    expect(await home.casemate(['policy', 'trust', '--yes'], { cwd: folder })).toMatchObject({ code: 0 });
    expect(await home.casemate(['run', '--', 'true'], { cwd: folder })).toMatchObject({ code: 0 });
    await writeFile(join(folder, 'casemate.yaml'), 'version: 1\nnetwork:\n  - host: other.example.com\n');
    expect(await home.casemate(['run', '--', 'true'], { cwd: folder })).toMatchObject({ code: 2 });
  });

  it('names a missing image and the command that builds it', async () => {
    const { code, err } = await home.casemate(['run', '--', 'true'], {
      env: { CASEMATE_IMAGES: join(home.root, 'no-images'), CASEMATE_HOME: join(home.root, 'second') },
    });
    expect({ code, err }).toMatchObject({ code: 125, err: expect.stringContaining('casemate image build base') });
    await home.casemate(['daemon', 'stop'], { env: { CASEMATE_HOME: join(home.root, 'second') } });
  });

  it('prints a plan with its hash and starts nothing', async () => {
    const first = JSON.parse((await home.casemate(['plan', '--json'])).out);
    const again = JSON.parse((await home.casemate(['plan', '--json'])).out);
    expect(first.hash).toMatch(/^[0-9a-f]{64}$/);
    expect(again).toEqual(first);
    const other = JSON.parse((await home.casemate(['plan', '--readonly', '--json'])).out);
    expect(other.hash).not.toBe(first.hash);
  });

  it('has a journal that verifies afterwards', async () => {
    expect(await home.casemate(['journal', 'verify'])).toMatchObject({ code: 0 });
  });
});
