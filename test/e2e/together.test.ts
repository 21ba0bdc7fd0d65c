/** All sandboxes of a user together: their limits on the host, how many may run, and the line for room. */
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { makeHome, oddRows, wholeWayLacks, type Home } from '../helpers/cli.ts';
import { startCaller } from '../helpers/mcp-client.ts';
import { engineOrSkip } from '../helpers/require-engine.ts';

const isRoot = process.geteuid?.() === 0;

describe.skipIf(!engineOrSkip('oci', await wholeWayLacks()))('all sandboxes together', () => {
  let home: Home;

  beforeAll(async () => {
    home = await makeHome();
    await mkdir(home.paths.config, { recursive: true, mode: 0o700 });
    await writeShare('running: 1, memory: 1GiB, pids: 64, ready: 1');
    const { code, err } = await home.casemate(['create', 'a']);
    expect([code, err]).toEqual([0, '']);
    await home.casemate(['start', 'a']);
  });
  afterAll(async () => {
    const groups = isRoot ? await groupsOf(await owner()) : [];
    await home.remove();
    // With its limits it goes when the daemon ends and no sandbox is left in it.
    expect(await Promise.all(groups.map(async (group) => await readdir(group).catch(() => 'gone')))).toEqual(
      groups.map(() => 'gone'),
    );
  });

  const writeShare = async (share: string): Promise<void> =>
    await writeFile(join(home.paths.config, 'policy.yaml'), `version: 1\nshare: { ${share} }\n`);

  async function owner(): Promise<string> {
    const { out } = await home.casemate(['inspect', 'a', '--json']);
    return JSON.parse(out).sandbox.owner;
  }

  async function groupsOf(name: string): Promise<readonly string[]> {
    const tops = ['.', 'memory', 'pids', 'cpu'].map((controller) => join('/sys/fs/cgroup', controller, 'casemate', name));
    const found = await Promise.all(
      tops.map(async (top) => ((await readdir(top).catch(() => undefined)) === undefined ? [] : [top])),
    );
    return found.flat();
  }

  async function numberIn(groups: readonly string[], names: readonly string[]): Promise<number> {
    const texts = await Promise.all(
      groups.flatMap((group) => names.map(async (name) => await readFile(join(group, name), 'utf8').catch(() => ''))),
    );
    return Number(texts.find((text) => text !== ''));
  }

  test.skipIf(!isRoot)('(needs root for a group of all) are in one group, whose limits the kernel holds', async () => {
    const groups = await groupsOf(await owner());
    const { out } = await home.casemate(['inspect', 'a', '--json']);
    const inspected = JSON.parse(out);
    expect(oddRows(inspected)).toEqual([]);
    const path = await readFile(`/proc/${inspected.processes[0]}/cgroup`, 'utf8');
    expect(path).toContain(`/casemate/${await owner()}/cm-`);
    expect(await numberIn(groups, ['memory.max', 'memory.limit_in_bytes'])).toBe(1024 ** 3);
    expect(await numberIn(groups, ['pids.max'])).toBe(64);
    const status = JSON.parse((await home.casemate(['daemon', 'status', '--json'])).out).daemon;
    expect(status.share).toMatchObject({ running: 1, pids: 64 });
    expect(status.together).toMatchObject({ pidsLimit: 64, memoryLimitBytes: 1024 ** 3 });
  });

  test('run as many at once as may; who waits in the line is told its place, and runs when there is room', async () => {
    const refused = await home.casemate(['run', '--', 'true']);
    expect([refused.code, refused.err]).toEqual([
      125,
      expect.stringContaining('as many sandboxes run as may, 1 of 1; nobody waits'),
    ]);
    const short = await home.casemate(['run', '--queue', '1s', '--', 'true']);
    expect([short.code, short.err]).toEqual([125, expect.stringContaining('there was no room within 1 s')]);
    expect(JSON.parse((await home.casemate(['ls', '--json'])).out)).toHaveLength(1);
    const waits = home.casemate(['run', '--queue', '50s', '--', 'echo', 'room'], { timeoutMs: 90_000 });
    await untilWaiting(1);
    await home.casemate(['stop', 'a']);
    expect(await waits).toMatchObject({ code: 0, out: 'room\n', err: 'waits for room: place 1 in the line\n' });
    await home.casemate(['start', 'a', '--queue', '30s']);
  });

  const waiting = async (): Promise<number> =>
    JSON.parse((await home.casemate(['daemon', 'status', '--json'])).out).daemon.waiting;
  const untilWaiting = (count: number) => expect.poll(waiting, { timeout: 30_000 }).toBe(count);

  test('of callers over MCP wait in the same line, and leave it when they cancel', async () => {
    const caller = await startCaller(home);
    try {
      const session = { projectPath: home.project, agent: 'none' };
      expect(await caller.refusal('create_session', session)).toMatch(
        /^TOO_MANY: as many sandboxes run as may, 1 of 1; nobody waits; try again in \d+ s/,
      );
      const gone = new AbortController();
      const waits = caller.raw('create_session', { ...session, queueMs: 60_000 });
      const left = caller.call('create_session', { ...session, queueMs: 60_000 }, { signal: gone.signal }).catch(() => 'left');
      await untilWaiting(2);
      gone.abort();
      expect(await left).toBe('left');
      await untilWaiting(1);
      await home.casemate(['stop', 'a']);
      expect(await waits).toMatchObject({ structuredContent: { state: 'running' } });
    } finally {
      await caller.close();
    }
  });
});
