import { existsSync } from 'node:fs';
import { chmod, mkdir, readFile, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';

import { entry, makeHome, wholeWayLacks, type Home } from '../helpers/cli.ts';
import { engineOrSkip } from '../helpers/require-engine.ts';

describe.skipIf(!engineOrSkip('oci', await wholeWayLacks()))('faults', { timeout: 180_000 }, () => {
  let home: Home;

  beforeAll(async () => {
    home = await makeHome();
    await home.casemate(['ls']);
  });

  afterAll(async () => {
    await home.remove();
  });

  afterEach(async () => {
    expect(await home.casemate(['journal', 'verify'])).toMatchObject({ code: 0 });
  });

  async function daemonPid(): Promise<number> {
    const { daemon } = JSON.parse((await home.casemate(['daemon', 'status', '--json'])).out);
    return daemon.pid;
  }

  async function names(): Promise<readonly string[]> {
    const rows: readonly { name: string }[] = JSON.parse((await home.casemate(['ls', '--json'])).out);
    return rows.map((row) => row.name);
  }

  it('a killed daemon takes its sandboxes back, and a running command does not notice', async () => {
    expect(await home.casemate(['create', 'kept'])).toMatchObject({ code: 0 });
    await home.casemate(['start', 'kept']);
    const file = (name: string): string => join(home.project, name);
    const script = 'touch begun; until [ -e goes-on ]; do sleep 0.1; done; echo done';
    const running = home.casemate(['exec', 'kept', '--', 'sh', '-c', script]);
    await expect.poll(() => existsSync(file('begun')), { timeout: 30_000 }).toBe(true);
    const killed = await daemonPid();
    process.kill(killed, 'SIGKILL');
    await expect.poll(() => existsSync(`/proc/${killed}`), { timeout: 30_000 }).toBe(false);
    await writeFile(file('goes-on'), '');
    expect(await running).toMatchObject({ code: 0, out: 'done\n' });
    const [row] = JSON.parse((await home.casemate(['ls', '--json'])).out);
    expect(row).toMatchObject({ name: 'kept', state: 'running' });
    const denied = await home.casemate([
      'exec',
      'kept',
      '--',
      'curl',
      '-sS',
      '-o',
      '/dev/null',
      '-w',
      '%{http_code}',
      'http://denied.example.com/',
    ]);
    expect(denied.out).toBe('403');
    expect(await home.casemate(['destroy', 'kept', '--confirm', 'kept'])).toMatchObject({ code: 0 });
  });

  it('while the daemon hangs a sandbox has no network, and nothing opens', async () => {
    await home.casemate(['create', 'cut']);
    await home.casemate(['start', 'cut']);
    const asking = 'echo ready; read -r _; curl -sS -m 3 http://denied.example.com/; echo code $?';
    const child = spawn(process.execPath, [entry, 'exec', 'cut', '--', 'sh', '-c', asking], {
      cwd: home.project,
      env: home.env,
      stdio: ['pipe', 'pipe', 'ignore'],
    });
    let said = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
    await expect.poll(() => said, { timeout: 50_000 }).toContain('ready');
    const pid = await daemonPid();
    process.kill(pid, 'SIGSTOP');
    try {
      child.stdin.end('go\n');
      await expect.poll(() => said, { timeout: 50_000 }).toMatch(/code (6|28)\n$/);
    } finally {
      process.kill(pid, 'SIGCONT');
    }
    await new Promise((done) => (child.exitCode === null ? child.once('exit', done) : done(undefined)));
    await home.casemate(['destroy', 'cut', '--confirm', 'cut']);
  });

  it('a killed caller leaves nothing running', async () => {
    const child = spawn(process.execPath, [entry, 'run', '--name', 'lost', '--', 'sh', '-c', 'echo ready; sleep 300.25'], {
      cwd: home.project,
      env: home.env,
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    await new Promise((done) => child.stdout.once('data', done));
    expect(await names()).toContain('lost');
    child.kill('SIGKILL');
    await expect.poll(names, { timeout: 50_000 }).not.toContain('lost');
    await expect.poll(async () => await sleepers('300.25'), { timeout: 30_000 }).toBe(0);
  });

  it('caller and daemon killed together: the next daemon removes what nobody owns', async () => {
    const child = spawn(process.execPath, [entry, 'run', '--name', 'both', '--', 'sh', '-c', 'echo ready; sleep 301.25'], {
      cwd: home.project,
      env: home.env,
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    await new Promise((done) => child.stdout.once('data', done));
    const pid = await daemonPid();
    child.kill('SIGKILL');
    process.kill(pid, 'SIGKILL');
    await expect.poll(names, { timeout: 30_000 }).toEqual([]);
    await expect.poll(async () => await sleepers('301.25'), { timeout: 30_000 }).toBe(0);
  });

  it(
    'killed at any point of a start, the daemon leaves nothing behind that the next one does not settle',
    { timeout: 240_000 },
    async () => {
      for (let step = 0; step < 12; step += 1) {
        await home.casemate(['ls']);
        const pid = await daemonPid();
        const child = spawn(process.execPath, [entry, 'run', '--', 'true'], {
          cwd: home.project,
          env: home.env,
          stdio: 'ignore',
        });
        const ended = new Promise((done) => child.once('exit', done));
        await sleep(90 + step * 25);
        process.kill(pid, 'SIGKILL');
        await ended;
      }
      await expect.poll(names, { timeout: 50_000 }).toEqual([]);
      await expect
        .poll(async () => (await readdir(join(home.paths.state, 'sandboxes')).catch(() => [])).length, { timeout: 50_000 })
        .toBe(0);
    },
  );

  it('a caller is told that the end of its command could not be recorded, and does not wait for that', async () => {
    const other = await makeHome();
    try {
      await other.casemate(['ls']);
      const child = spawn(process.execPath, [entry, 'run', '--', 'sh', '-c', 'echo ready; read -r _; exit 3'], {
        cwd: other.project,
        env: other.env,
        stdio: ['pipe', 'pipe', 'pipe'],
      });
      let [said, told] = ['', ''];
      child.stdout.setEncoding('utf8').on('data', (text: string) => (said += text));
      child.stderr.setEncoding('utf8').on('data', (text: string) => (told += text));
      await expect.poll(() => said, { timeout: 50_000 }).toContain('ready');
      // From here on the journal takes nothing: what it was kept in is gone.
      const journal = join(other.paths.state, 'journal');
      const [segment = ''] = (await readdir(journal)).filter((name) => name.endsWith('.jsonl'));
      await rm(join(journal, segment));
      child.stdin.end('go\n');
      await expect.poll(() => child.exitCode, { timeout: 50_000 }).toBe(125);
      await expect.poll(() => told, { timeout: 30_000 }).toContain('was changed by another program');
      // Nor can its stop be recorded, which is said; it ends all the same.
      const { code, err } = await other.casemate(['daemon', 'stop', '--force']);
      expect({ code, err }).toMatchObject({ code: 125, err: expect.stringContaining('was changed by another program') });
      expect(await other.casemate(['daemon', 'status', '--json'])).toMatchObject({
        code: 0,
        out: expect.stringMatching(/"daemon": null/u),
      });
    } finally {
      await other.remove();
    }
  });

  it('two callers at once start one daemon and do not race', async () => {
    await home.casemate(['daemon', 'stop', '--force']);
    const results = await Promise.all(
      Array.from({ length: 4 }, async (_, index) => await home.casemate(['run', '--', 'echo', String(index)])),
    );
    expect(results.map(({ code, out }) => [code, out])).toEqual([0, 1, 2, 3].map((index) => [0, `${index}\n`]));
    const same = await Promise.all(['a', 'b'].map(async () => await home.casemate(['create', 'same'])));
    expect(same.map(({ code }) => code).toSorted((a, b) => a - b)).toEqual([0, 2]);
    await home.casemate(['destroy', 'same', '--confirm', 'same']);
  });

  it('starts nothing when the journal cannot be written', async () => {
    await home.casemate(['daemon', 'stop', '--force']);
    const folder = join(home.paths.state, 'journal');
    const saved = join(home.root, 'journal-aside');
    const { rename } = await import('node:fs/promises');
    await rename(folder, saved);
    await writeFile(folder, 'not a folder');
    const { code, err } = await home.casemate(['run', '--', 'true']);
    expect({ code, err }).toMatchObject({ code: 125, err: expect.stringContaining('journal') });
    await rm(folder);
    await rename(saved, folder);
    expect(await home.casemate(['run', '--', 'true'])).toMatchObject({ code: 0 });
  });

  it('refuses to start on a journal that was tampered with', async () => {
    const second = await makeHome();
    await second.casemate(['run', '--', 'true']);
    await second.casemate(['daemon', 'stop', '--force']);
    const folder = join(second.paths.state, 'journal');
    const [segment = ''] = (await readdir(folder)).filter(
      (name) => name.endsWith('.jsonl') || name.includes('segment') || /\d/.test(name),
    );
    const text = await readFile(join(folder, segment), 'utf8');
    await writeFile(join(folder, segment), text.replace('sandbox.create', 'sandbox.creaet'));
    expect(await second.casemate(['journal', 'verify'])).toMatchObject({ code: 1 });
    expect((await second.casemate(['run', '--', 'true'])).code).not.toBe(0);
    await second.remove();
  });

  it('names a runtime that is not there, and offers no waiver for it', async () => {
    const second = await makeHome();
    const bin = join(second.root, 'bin');
    await mkdir(bin);
    const tools = ['perl', 'mke2fs', 'unshare', 'nsenter', 'mount', 'find', 'node'];
    for (const tool of tools) {
      const path = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin']
        .map((folder) => join(folder, tool))
        .find((file) => existsSync(file));
      await (path === undefined ? undefined : symlink(path, join(bin, tool)));
    }
    // Left to this host it would be Docker or Podman, where there is one.
    const { code, err } = await second.casemate(['run', '--engine', 'oci', '--', 'true'], { env: { PATH: bin } });
    expect({ code, err }).toMatchObject({ code: 125, err: expect.stringContaining('runc is not installed') });
    expect(err).not.toContain('--waive');
    await second.remove();
  });

  it('refuses folders of ours that others can enter', async () => {
    const second = await makeHome();
    await mkdir(second.paths.state, { recursive: true });
    await chmod(second.paths.state, 0o755);
    expect(await second.casemate(['run', '--', 'true'])).toMatchObject({ err: expect.stringContaining('chmod 700') });
    await second.remove();
  });
});

/** Processes of the host that sleep for exactly so long, whichever namespace they are in. */
async function sleepers(seconds: string): Promise<number> {
  let count = 0;
  for (const name of (await readdir('/proc')).filter((entry) => /^\d+$/.test(entry))) {
    const words = (await readFile(`/proc/${name}/cmdline`, 'utf8').catch(() => '')).split('\0');
    count += words[0]?.endsWith('sleep') === true && words[1] === seconds ? 1 : 0;
  }
  return count;
}
