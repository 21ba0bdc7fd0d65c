import { spawn, type ChildProcess } from 'node:child_process';
import { readFile, readdir, rm, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { identifyProcess } from '../../src/system/process-identity.ts';
import { makeHome, wholeWayLacks, type Home } from '../helpers/cli.ts';
import { startCaller, type McpCaller } from '../helpers/mcp-client.ts';
import { engineOrSkip } from '../helpers/require-engine.ts';

/**
 * The machine is started anew, as far as that can be done without doing it: every process of the installation is killed at
 * once, namespaces and mounts go with them, cgroups and the folder on tmpfs are gone. What was written down has to do.
 */

const otherBoot = '00000000-0000-4000-8000-000000000000';

describe.skipIf(!engineOrSkip('oci', await wholeWayLacks()))('a machine that is started anew', { timeout: 180_000 }, () => {
  let home: Home;
  const bystanders: ChildProcess[] = [];

  beforeAll(async () => {
    home = await makeHome();
  });

  afterAll(async () => {
    bystanders.forEach((child) => child.kill('SIGKILL'));
    await home.remove();
  });

  const sandboxesBelow = (): string => join(home.paths.runtime, 'engine/sandboxes');

  /** Also of those that are made ahead and wait. */
  async function firstProcesses(): Promise<readonly { readonly id: string; readonly pid: number; readonly path: string }[]> {
    const ids = await readdir(sandboxesBelow()).catch(() => []);
    const found = await Promise.all(
      ids.map(async (id) => {
        const text = await readFile(join(sandboxesBelow(), id, 'pid'), 'utf8').catch(() => undefined);
        // It is made before it is written to, and 0 is this very group.
        return Number(text ?? '') <= 1 ? [] : [{ id, path: join(sandboxesBelow(), id, 'init.json'), pid: Number(text) }];
      }),
    );
    return found.flat();
  }

  /** Whose command line or environment names the home: daemon, callers, helpers. */
  async function processesOfHome(): Promise<readonly number[]> {
    const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid);
    const texts = await Promise.all(
      pids.map(async (pid) => {
        const read = async (name: string): Promise<string> => await readFile(`/proc/${pid}/${name}`, 'utf8').catch(() => '');
        return `${await read('cmdline')}${await read('environ')}`;
      }),
    );
    return pids.filter((_, index) => texts[index]?.includes(home.root) === true).map(Number);
  }

  function kill(pid: number): void {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It went by itself.
    }
  }

  async function removeGroups(folder: string): Promise<void> {
    for (const entry of await readdir(folder, { withFileTypes: true }).catch(() => [])) {
      if (entry.isDirectory()) {
        await removeGroups(join(folder, entry.name));
      }
    }
    await rmdir(folder).catch(() => undefined);
  }

  /** All at once, first those that would notice. */
  async function powerOff(): Promise<void> {
    const owner = await ownerId();
    // One that makes another one meanwhile is gone first.
    (await processesOfHome()).forEach(kill);
    const sandboxes = await firstProcesses();
    sandboxes.forEach(({ pid }) => kill(pid));
    // What one of them was making as it went is there only now.
    const left = async (): Promise<number> => {
      const pids = await processesOfHome();
      pids.forEach(kill);
      return pids.length;
    };
    await expect.poll(left, { timeout: 60_000 }).toBe(0);
    for (const { pid } of sandboxes) {
      await expect.poll(async () => (await identifyProcess(pid)) === undefined, { timeout: 30_000 }).toBe(true);
    }
    const mounts = await readFile('/proc/self/mountinfo', 'utf8');
    expect(mounts).not.toContain(home.root);
    await removeGroups(join('/sys/fs/cgroup/casemate', owner));
  }

  async function ownerId(): Promise<string> {
    const rows = JSON.parse((await home.casemate(['ls', '--json'])).out) as readonly { readonly owner: string }[];
    return rows[0]?.owner ?? '';
  }

  async function states(): Promise<Record<string, string>> {
    const { out } = await home.casemate(['ls', '--json']);
    const rows = JSON.parse(out) as readonly { readonly name: string; readonly state: string }[];
    return Object.fromEntries(rows.map(({ name, state }) => [name, state]));
  }

  it('has its sessions, with what they hold; their processes start again when they are asked for', async () => {
    let caller: McpCaller = await startCaller(home);
    const made = await caller.call('create_session', { projectPath: home.project, agent: 'none', sessionName: 'kept' });
    const sessionId = String(made['sessionId']);
    const run = async (command: string): Promise<string> =>
      String((await caller.call('execute_command', { sessionId, command }))['stdout']);
    await run('echo in the home > ~/kept; echo in the project > kept; (sleep 1000 >/dev/null 2>&1 &)');
    expect((await home.casemate(['create', 'mine'])).code).toBe(0);
    expect((await home.casemate(['start', 'mine'])).code).toBe(0);
    await home.casemate(['exec', 'mine', '--', 'sh', '-c', 'echo mine > ~/mine']);
    const once = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)']);
    bystanders.push(once);
    // A throw-away one, whose command is under way.
    const running = home.casemate(['run', '--name', 'once', '--', 'sleep', '1000']).catch(() => undefined);
    await expect.poll(async () => (await states())['once'], { timeout: 60_000 }).toBe('running');

    await powerOff();
    await running;
    await rm(home.paths.runtime, { recursive: true, force: true });
    await caller.close().catch(() => undefined);

    expect(await states()).toEqual({ kept: 'stopped', mine: 'stopped' });
    caller = await startCaller(home);
    const { sessions } = (await caller.call('list_sessions')) as { sessions: readonly { sessionId: string; state: string }[] };
    expect(sessions).toMatchObject([{ sessionId, state: 'stopped' }]);
    // One is the first process of the sandbox; the other is not started again by itself.
    expect(await run('cat ~/kept kept; pgrep -cx sleep')).toBe('in the home\nin the project\n1\n');
    expect((await home.casemate(['start', 'mine'])).code).toBe(0);
    expect((await home.casemate(['exec', 'mine', '--', 'cat', '/home/agent/mine'])).out).toBe('mine\n');
    expect((await home.casemate(['journal', 'verify'])).code).toBe(0);
    await caller.close();
  });

  it('takes no process of the new run for one of the old, where its own folder is on the disk', async () => {
    expect(await states()).toMatchObject({ kept: 'running', mine: 'running' });
    const running = home.casemate(['run', '--name', 'once', '--', 'sleep', '1000']).catch(() => undefined);
    await expect.poll(async () => (await states())['once'], { timeout: 60_000 }).toBe('running');
    const records = await firstProcesses();
    expect(records.length).toBeGreaterThanOrEqual(3);
    await powerOff();
    await running;
    // Another program has the number now, and began so many ticks after the start of the machine.
    for (const { path } of records) {
      const child = spawn('sleep', ['1000']);
      bystanders.push(child);
      const { pid, startTicks } = (await identifyProcess(child.pid ?? 0)) ?? { pid: 0, startTicks: '' };
      await writeFile(path, JSON.stringify({ pid, startTicks, boot: otherBoot }));
    }
    expect(await states()).toEqual({ kept: 'stopped', mine: 'stopped' });
    const destroyed = await home.casemate(['destroy', 'mine', '--confirm', 'mine']);
    expect(destroyed.code).toBe(0);
    expect(bystanders.map(({ exitCode, signalCode }) => [exitCode, signalCode])).toEqual(bystanders.map(() => [null, null]));
    expect((await home.casemate(['start', 'kept'])).code).toBe(0);
    expect((await home.casemate(['exec', 'kept', '--', 'cat', '/home/agent/kept'])).out).toBe('in the home\n');
  });

  it.skipIf(process.getuid?.() !== 0)('leaves nothing running where only the folder of what runs is gone', async () => {
    expect(await states()).toMatchObject({ kept: 'running' });
    const { daemon } = JSON.parse((await home.casemate(['daemon', 'status', '--json'])).out) as { daemon: { pid: number } };
    const sandboxes = await firstProcesses();
    expect(sandboxes.length).toBeGreaterThanOrEqual(1);
    kill(daemon.pid);
    await expect.poll(async () => await identifyProcess(daemon.pid), { timeout: 30_000 }).toBeUndefined();
    await rm(home.paths.runtime, { recursive: true, force: true });
    expect(await states()).toMatchObject({ kept: 'stopped' });
    for (const { id, pid } of sandboxes) {
      await expect.poll(async () => await identifyProcess(pid), { timeout: 30_000, message: id }).toBeUndefined();
    }
    expect((await home.casemate(['start', 'kept'])).code).toBe(0);
    expect((await home.casemate(['exec', 'kept', '--', 'cat', '/home/agent/kept'])).out).toBe('in the home\n');
  });
});
