import { readFile, readdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { makeHome, wholeWayLacks, type Home } from '../helpers/cli.ts';
import { startCaller, type McpCaller } from '../helpers/mcp-client.ts';
import { engineOrSkip } from '../helpers/require-engine.ts';

/** The home folder of a sandbox as it was: by whom it can be kept and put back, and what is no part of it. */

describe.skipIf(!engineOrSkip('oci', await wholeWayLacks()))('a snapshot of a home folder', { timeout: 120_000 }, () => {
  let home: Home;
  let caller: McpCaller;
  let sessionId: string;
  let kept: string;

  const create = async (by: McpCaller): Promise<string> =>
    String((await by.call('create_session', { projectPath: home.project, agent: 'none' }))['sessionId']);
  const inside = async (command: string): Promise<string> =>
    String((await caller.call('execute_command', { sessionId, command: `exec 2>&1; ${command}` }))['stdout']);
  const folder = (): string => join(home.paths.state, 'sandboxes', sessionId, 'snapshots');
  const limitsHomes = async (): Promise<boolean> =>
    stat(join(home.paths.state, 'sandboxes', sessionId, 'home.ext4')).then(
      () => true,
      () => false,
    );

  beforeAll(async () => {
    home = await makeHome();
    caller = await startCaller(home);
    sessionId = await create(caller);
    await inside(
      'echo first > ~/note; ln -s /etc/passwd ~/link; mkdir -m 700 ~/deep; echo x > ~/deep/file; echo work > work.txt',
    );
  }, 120_000);

  afterAll(async () => {
    await caller.close();
    await home.remove();
  });

  it('is said to be impossible where homes are folders, and is taken of one that runs without a command elsewhere', async () => {
    if (!(await limitsHomes())) {
      expect(await caller.refusal('snapshot_session', { sessionId })).toMatch(/^UNSUPPORTED: /);
      return;
    }
    const taken = await caller.call('snapshot_session', { sessionId, label: 'before' });
    kept = String(taken['snapshotId']);
    expect(kept).toMatch(/^sn-[0-9a-f]{16}$/);
    expect(Number(taken['bytes'])).toBeLessThan(64 * 1024 * 1024);
    expect((await caller.call('list_snapshots', { sessionId }))['snapshots']).toEqual([taken]);
  });

  it('puts back what the home held, and leaves the workspace as it is', async () => {
    if (kept === undefined) {
      return;
    }
    await inside('echo second > ~/note; rm ~/link; rm -r ~/deep; echo more > ~/more; echo changed > work.txt');
    expect(await caller.call('restore_session', { sessionId, snapshotId: kept })).toMatchObject({ label: 'before' });
    expect(await inside('cat ~/note ~/deep/file; readlink ~/link; stat -c %a ~/deep; ls ~; cat work.txt')).toBe(
      'first\nx\n/etc/passwd\n700\ndeep\nlink\nnote\nchanged\n',
    );
    // It is not used up.
    await inside('echo third > ~/note');
    await caller.call('restore_session', { sessionId, snapshotId: kept });
    expect(await inside('cat ~/note')).toBe('first\n');
  });

  it('is on record once for each effect, under its caller', async () => {
    if (kept === undefined) {
      return;
    }
    const { out } = await home.casemate(['journal', 'query', '--json']);
    const records = out.split('\n').filter((line) => line.includes('"home.'));
    expect(records.map((line) => JSON.parse(line)).map(({ action, actor, detail }) => [action, actor, detail.snapshot])).toEqual([
      ['home.snapshot', 'caller:mcp', kept],
      ['home.restore', 'caller:mcp', kept],
      ['home.restore', 'caller:mcp', kept],
    ]);
  });

  it('is neither taken nor put back while a command runs, which goes on', async () => {
    if (kept === undefined) {
      return;
    }
    const { executionId } = await caller.call('start_command', { sessionId, command: 'sleep 30; echo through' });
    expect(await caller.refusal('snapshot_session', { sessionId })).toMatch(/^SANDBOX_WRONG_STATE: /);
    expect(await caller.refusal('restore_session', { sessionId, snapshotId: kept })).toMatch(/^SANDBOX_WRONG_STATE: /);
    expect(await caller.call('wait_for_execution', { executionId, timeoutMs: 0 })).toMatchObject({ state: 'running' });
    await caller.call('interrupt_execution', { executionId });
    await caller.call('wait_for_execution', { executionId, timeoutMs: 30_000 });
  });

  it('belongs to its session: another caller, and another session, have none of it', async () => {
    if (kept === undefined) {
      return;
    }
    const other = await startCaller(home, { args: ['--root', home.root, '--caller', 'other'] });
    try {
      for (const tool of ['restore_session', 'remove_snapshot']) {
        expect(await other.refusal(tool, { sessionId, snapshotId: kept })).toMatch(/^SANDBOX_NOT_FOUND: /);
      }
      expect(await other.refusal('snapshot_session', { sessionId })).toMatch(/^SANDBOX_NOT_FOUND: /);
      expect(await other.refusal('list_snapshots', { sessionId })).toMatch(/^SANDBOX_NOT_FOUND: /);
      const own = await create(other);
      expect(await other.refusal('restore_session', { sessionId: own, snapshotId: kept })).toMatch(/^SNAPSHOT_NOT_FOUND: /);
      await other.call('destroy_session', { sessionId: own });
    } finally {
      await other.close();
    }
  });

  it('is not more than four times there', async () => {
    if (kept === undefined) {
      return;
    }
    for (let count = 1; count < 4; count += 1) {
      await caller.call('snapshot_session', { sessionId });
    }
    expect(await caller.refusal('snapshot_session', { sessionId })).toMatch(/^TOO_MANY: /);
    expect((await readdir(folder())).length).toBe(8);
  });

  it('survives a daemon that is killed, and what that one left half made goes', async () => {
    if (kept === undefined) {
      return;
    }
    const { out } = await home.casemate(['daemon', 'status', '--json']);
    process.kill(JSON.parse(out).daemon.pid, 'SIGKILL');
    await writeFile(join(folder(), 'sn-00000000000000aa.ext4'), 'half');
    await writeFile(join(folder(), 'sn-00000000000000bb.new'), 'half');
    const { out: listed } = await home.casemate(['snapshot', 'ls', sessionId, '--json']);
    expect(JSON.parse(listed)).toHaveLength(4);
    await expect.poll(async () => (await readdir(folder())).length, { timeout: 30_000 }).toBe(8);
    await inside('echo fourth > ~/note');
    await caller.call('restore_session', { sessionId, snapshotId: kept });
    expect(await inside('cat ~/note')).toBe('first\n');
  });

  it('is put back by a person who says its name again, removed by one, and goes with its sandbox', async () => {
    if (kept === undefined) {
      return;
    }
    await inside('echo fifth > ~/note');
    const { code, err } = await home.casemate(['snapshot', 'restore', sessionId, kept]);
    expect([code, err]).toEqual([2, expect.stringContaining('nothing was changed')]);
    expect(await inside('cat ~/note')).toBe('fifth\n');
    expect((await home.casemate(['snapshot', 'restore', sessionId, kept, '--confirm', 'project'])).code).toBe(0);
    expect(await inside('cat ~/note')).toBe('first\n');
    expect((await home.casemate(['snapshot', 'rm', sessionId, kept])).out).toBe(`removed: ${kept}\n`);
    expect(await readdir(folder())).toHaveLength(6);
    await caller.call('destroy_session', { sessionId });
    await expect(stat(folder())).rejects.toMatchObject({ code: 'ENOENT' });
    expect(await readFile(join(home.project, 'work.txt'), 'utf8')).toBe('changed\n');
  });
});
