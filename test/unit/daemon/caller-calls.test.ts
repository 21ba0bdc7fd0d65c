import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { callsOfCaller } from '../../../src/daemon/caller-calls.ts';
import type { Client } from '../../../src/daemon/client.ts';
import { callerMethods } from '../../../src/daemon/caller-protocol.ts';
import { operatorMethods, type MakeCall } from '../../../src/daemon/protocol.ts';
import type { CallContext, Calling } from '../../../src/daemon/server.ts';
import { requestOf, sessionInput } from '../../../src/mcp/session-request.ts';
import { call, sandboxLab, type Lab } from '../../helpers/sandbox-lab.ts';

const context: CallContext = { ask: async () => undefined, progress: () => undefined, onLost: () => undefined };

describe('the calls of a caller', () => {
  let lab: Lab;
  let root: string;
  let asked: MakeCall[];
  let claims: number;

  beforeEach(async () => {
    lab = await sandboxLab();
    root = join(lab.root, 'projects');
    asked = [];
    claims = 0;
    await mkdir(join(root, 'one'), { recursive: true });
  });
  afterEach(async () => {
    await lab.remove();
  });

  /** Those of the person: what they would do is written down. */
  function calls(caller: string): Calling {
    const methods = [...callerMethods, ...operatorMethods].map((method) => [method, async () => method]);
    return {
      ...(Object.fromEntries(methods) as object),
      async create(params: MakeCall) {
        asked.push(params);
        claims += 1;
        const name = params.name ?? `made-${claims}`;
        const place = await lab.sandboxes.room.enter({ caller, runs: false });
        try {
          const row = await lab.make({ name, caller, place });
          return { id: row.id, name: row.name };
        } finally {
          place.leave();
        }
      },
      ls: async () => lab.store.list().map(({ id, name, caller: owner }) => ({ id, name, caller: owner })),
    } as unknown as Calling;
  }

  function caller(name: string): Calling {
    const claim = { name, roots: [root] };
    return callsOfCaller({ context: lab.context, sandboxes: lab.sandboxes, claim, calls: calls(name) });
  }

  it('are of the table, and all others are refused and recorded', async () => {
    const own = caller('ci');
    for (const method of operatorMethods) {
      await expect(own[method]({} as never, context)).rejects.toMatchObject({ code: 'NOT_ALLOWED' });
    }
    expect(lab.journal()).toEqual(operatorMethods.map(() => 'caller.refused method'));
  });

  it('make a sandbox with nothing but what a caller may say', async () => {
    await caller('ci').create({ cwd: join(root, 'one'), narrowing: { cpus: 1 }, agent: 'claude' }, context);
    expect(asked).toMatchObject([
      {
        cwd: join(root, 'one'),
        workspace: join(root, 'one'),
        mustLieIn: [root],
        narrowing: { cpus: 1, unlessSaid: { timeMs: 3_600_000, idleMs: 900_000 } },
      },
    ]);
    for (const more of [
      { waive: ['memory-limit'] },
      { trust: true },
      { skipPermissions: true },
      { runtime: 'crun' },
      { image: 'x' },
    ]) {
      await expect(caller('ci').create({ cwd: join(root, 'one'), ...more }, context)).rejects.toMatchObject({
        code: 'NOT_ALLOWED',
      });
    }
    await expect(caller('ci').create({ cwd: lab.root }, context)).rejects.toMatchObject({ code: 'NOT_ALLOWED' });
  });

  it('know the sandboxes of this caller alone', async () => {
    const { name } = await caller('ci').create({ cwd: root, name: 'work' }, context);
    const mine = await lab.make({ name: 'mine' });
    for (const other of [mine.id, mine.name, 'none']) {
      await expect(caller('ci').inspect({ name: other }, context)).rejects.toThrow(`no sandbox of yours is named "${other}"`);
      await expect(caller('ci').destroy({ name: other }, context)).rejects.toMatchObject({ code: 'SANDBOX_NOT_FOUND' });
    }
    await expect(caller('other').exec({ name, command: ['id'], env: {}, tty: false }, context)).rejects.toMatchObject({
      code: 'SANDBOX_NOT_FOUND',
    });
    expect((await caller('other').create({ cwd: root, name: 'work' }, context)).name).toMatch(/^work-[0-9a-f]{6}$/);
    expect(await caller('ci').ls({}, context)).toMatchObject([{ name: 'work' }]);
  });

  it('are bounded in number, for one and for all, also where they come at once', async () => {
    const ends = await Promise.allSettled(
      Array.from({ length: 12 }, async () => await caller('ci').create({ cwd: root }, context)),
    );
    expect(ends.filter(({ status }) => status === 'fulfilled')).toHaveLength(10);
    await expect(caller('ci').create({ cwd: root }, context)).rejects.toMatchObject({ code: 'TOO_MANY' });
    await Promise.all(
      ['b', 'c'].flatMap((name) => Array.from({ length: 10 }, async () => await caller(name).create({ cwd: root }, context))),
    );
    await expect(caller('d').create({ cwd: root }, context)).rejects.toThrow('all callers together have 30 sandboxes');
    await lab.sandboxes.destroy('made-1', call);
    await expect(caller('ci').create({ cwd: root }, context)).resolves.toBeDefined();
  });

  it('start no sandbox again whose time is over', async () => {
    const { name } = await lab.make({ name: 'short', caller: 'ci', policy: 'limits: { time: 1h }' });
    await expect(caller('ci').start({ name }, context)).resolves.toBe('start');
    lab.pass(3_600_000);
    for (const method of ['start', 'restart'] as const) {
      await expect(caller('ci')[method]({ name }, context)).rejects.toThrow('has expired');
    }
    await expect(caller('ci').exec({ name, command: ['id'], env: {}, tty: false }, context)).rejects.toThrow('has expired');
  });
});

describe('what a caller may say of a session', () => {
  const client = { call: async () => ({ plan: {} }) } as unknown as Client;
  const defaults = { useBedrock: false, awsRegion: undefined, bedrockModel: undefined, bedrockSmallModel: undefined };
  const request = async (more: object) =>
    await requestOf(sessionInput.parse({ projectPath: '/p', ...more }), { client, context: { defaults } as never });

  it('becomes a request; where it names no agent it is Claude Code', async () => {
    expect(await request({ sessionName: 'My Work!', apiKey: 'k' })).toMatchObject({
      name: 'my-work',
      agent: 'claude',
      provider: 'key',
      given: ['anthropic'],
      keys: { anthropic: 'k' },
    });
    expect(await request({ agent: 'none' })).toMatchObject({ agent: 'none', given: [] });
  });

  it('is refused by name where it cannot be honoured', async () => {
    const mcpMounts = [{ hostPath: '/x', containerPath: '/home/agent/y', readOnly: false }];
    await expect(request({ mcpMounts })).rejects.toMatchObject({ code: 'UNSUPPORTED' });
    await expect(request({ mcpMounts: [], mcpConfig: { mcpServers: {} } })).resolves.toBeDefined();
  });
});
