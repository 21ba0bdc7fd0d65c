/** Time limits, idle sandboxes and lost callers, with a clock that the test moves. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { createTimers, type Timers } from '../../src/daemon/timers.ts';
import type { SandboxRow } from '../../src/sandbox/stored/store.ts';
import { identifyProcess } from '../../src/system/process-identity.ts';
import { call, sandboxLab, type Lab, type MakeChanges } from '../helpers/sandbox-lab.ts';

let lab: Lab;
let timers: Timers;
const said: string[] = [];
const alive = await identifyProcess(process.pid);
const dead = { pid: process.pid, startTicks: '1' };
const request = { command: ['sh'], tty: false, client: alive, actor: 'user:1' };

beforeEach(async () => {
  lab = await sandboxLab();
  said.length = 0;
  const pauses: number[] = [];
  timers = createTimers({
    context: lab.context,
    sandboxes: lab.sandboxes,
    log: (text) => said.push(text),
    pause: async (ms) => pauses.push(ms),
  });
});

afterEach(async () => {
  await lab.remove();
});

async function running(changes: MakeChanges = {}): Promise<SandboxRow> {
  return await lab.sandboxes.start((await lab.make(changes)).id, call);
}

const state = (row: SandboxRow) => lab.store.find(row.id)?.state;

describe('the time limit of a sandbox', () => {
  it('stops a kept one and removes a throw-away one, and callers learn that it was time', async () => {
    const kept = await running({ policy: 'limits: { time: 1m }' });
    const thrown = await running({ policy: 'limits: { time: 1m }', ephemeral: true, ...(alive && { client: alive }) });
    const { execution } = await lab.sandboxes.open(thrown.id, request);
    lab.pass(59_000);
    await timers.tick();
    expect([state(kept), state(thrown)]).toEqual(['running', 'running']);
    lab.pass(1000);
    await Promise.all([timers.tick(), timers.tick()]);
    expect([state(kept), state(thrown)]).toEqual(['stopped', undefined]);
    expect([timers.endedByTime(execution.id), timers.endedByTime(execution.id)]).toEqual([true, false]);
    expect(
      lab
        .journal()
        .filter((line) => line.endsWith('expired') || line.startsWith('exec.end'))
        .toSorted(),
    ).toEqual(['exec.end timed-out', 'sandbox.destroy expired', 'sandbox.stop expired']);
    expect(said).toEqual([]);
  });

  it('does not end one that was started again in the meantime', async () => {
    const row = await running({ policy: 'limits: { time: 1m }' });
    lab.pass(61_000);
    await Promise.all([lab.sandboxes.stop(row.id, call), lab.sandboxes.start(row.id, call), timers.tick()]);
    expect(state(row)).toBe('running');
  });
});

describe('the time limit of a command', () => {
  it('ends the command and not the sandbox', async () => {
    const row = await running();
    const { execution } = await lab.sandboxes.open(row.id, { ...request, timeoutMs: 5000 });
    await timers.tick();
    lab.pass(4999);
    await timers.tick();
    expect(timers.endedByTime(execution.id)).toBe(false);
    lab.pass(1);
    await timers.tick();
    expect([timers.endedByTime(execution.id), state(row)]).toEqual([true, 'running']);
    await timers.tick();
    expect(timers.endedByTime(execution.id)).toBe(false);
  });

  it('holds under the next daemon', async () => {
    const row = await running();
    const { execution } = await lab.sandboxes.open(row.id, { ...request, timeoutMs: 5000 });
    const sandboxes = lab.again();
    lab.store.openExecutions().forEach((stored) => sandboxes.executions.adopt({ ...stored, timedOut: false }));
    const next = createTimers({ context: lab.context, sandboxes, log: () => undefined });
    lab.pass(5000);
    await next.tick();
    expect(next.endedByTime(execution.id)).toBe(true);
  });

  it('does not move with the clock on the wall', async () => {
    const row = await running();
    const { execution } = await lab.sandboxes.open(row.id, { ...request, timeoutMs: 5000 });
    await timers.tick();
    lab.time.nowMs += 86_400_000;
    await timers.tick();
    expect(timers.endedByTime(execution.id)).toBe(false);
  });
});

describe('an idle sandbox', () => {
  it('was used, however short its commands are: what begins and ends between two looks counts', async () => {
    const row = await running({ policy: 'limits: { idle: 1m }' });
    await timers.tick();
    for (let command = 0; command < 4; command += 1) {
      lab.pass(40_000);
      const { execution } = await lab.sandboxes.open(row.id, request);
      await lab.sandboxes.close(execution.id, { exitCode: 0, reason: 'exited' });
      await timers.tick();
    }
    expect(state(row)).toBe('running');
    lab.pass(60_000);
    await timers.tick();
    expect(state(row)).toBe('stopped');
  });

  it('was used by a command whose end is being written down', async () => {
    const row = await running({ policy: 'limits: { idle: 1m }' });
    await timers.tick();
    lab.pass(59_000);
    const { execution } = await lab.sandboxes.open(row.id, request);
    lab.pass(2000);
    const written = Promise.withResolvers<void>();
    const { append } = lab.context.journal;
    const slow: typeof append = async (entry) => {
      await (entry.action === 'exec.end' ? written.promise : undefined);
      return await append(entry);
    };
    Object.assign(lab.context.journal, { append: slow });
    const closing = lab.sandboxes.close(execution.id, { exitCode: 0, reason: 'exited' });
    await timers.tick();
    written.resolve();
    await closing;
    expect(state(row)).toBe('running');
  });

  it('is stopped after so long without a command, and not while one runs', async () => {
    const row = await running({ policy: 'limits: { idle: 1m }' });
    const { execution } = await lab.sandboxes.open(row.id, request);
    await timers.tick();
    lab.pass(120_000);
    await timers.tick();
    expect(state(row)).toBe('running');
    await lab.sandboxes.close(execution.id, { exitCode: 0, reason: 'exited' });
    await timers.tick();
    lab.pass(60_000);
    await timers.tick();
    expect([state(row), lab.journal().at(-1)]).toEqual(['stopped', 'sandbox.stop idle']);
  });

  it('that was stopped and started again is counted from its start', async () => {
    const row = await running({ policy: 'limits: { idle: 1m }' });
    await timers.tick();
    lab.pass(50_000);
    await lab.sandboxes.stop(row.id, call);
    await lab.sandboxes.start(row.id, call);
    lab.pass(10_000);
    await timers.tick();
    expect(state(row)).toBe('running');
  });

  it('goes on when a command comes at that very moment', async () => {
    const row = await running({ policy: 'limits: { idle: 1m }' });
    await timers.tick();
    lab.pass(60_000);
    await Promise.all([lab.sandboxes.open(row.id, request), timers.tick()]);
    expect([state(row), lab.sandboxes.executions.of(row.id).length]).toEqual(['running', 1]);
  });
});

describe('a caller that is lost', () => {
  it('has its command ended, once, and its throw-away sandbox removed', async () => {
    const row = await running({ ephemeral: true, ...(alive && { client: alive }) });
    const { execution } = await lab.sandboxes.open(row.id, request);
    await Promise.all([
      timers.clientLost(execution.id),
      timers.clientLost(execution.id),
      lab.sandboxes.close(execution.id, { exitCode: 0, reason: 'exited' }),
    ]);
    await lab.sandboxes.settled();
    expect(state(row)).toBeUndefined();
    expect(lab.journal().filter((line) => line.startsWith('exec.end'))).toHaveLength(1);
    expect(lab.journal().filter((line) => line.startsWith('sandbox.destroy'))).toHaveLength(1);
    await timers.clientLost(execution.id);
    expect(said).toEqual([]);
  });

  it('is waited for a moment where its command has not begun', async () => {
    const row = await running();
    const { execution } = await lab.sandboxes.open(row.id, request);
    const pidFile = join(lab.root, 'pid');
    const rounds: number[] = [];
    const patient = createTimers({
      context: lab.context,
      sandboxes: lab.sandboxes,
      log: (text) => said.push(text),
      async pause(ms) {
        rounds.push(ms);
        await (rounds.length === 3 ? writeFile(pidFile, '1') : undefined);
      },
    });
    lab.sandboxes.executions.adopt({ ...execution, invocation: { ...execution.invocation, pidFile } });
    await patient.clientLost(execution.id);
    expect(rounds).toHaveLength(3);
    expect([state(row), lab.journal().at(-1)]).toEqual(['running', 'exec.end client-lost']);
  });

  it('is found without a connection, too', async () => {
    const kept = await running();
    await lab.sandboxes.open(kept.id, { ...request, client: dead });
    await lab.sandboxes.open(kept.id, request);
    const thrown = await running({ ephemeral: true, client: dead });
    await timers.tick();
    expect(state(thrown)).toBe('running');
    lab.pass(5000);
    await timers.tick();
    await lab.sandboxes.settled();
    expect([state(kept), state(thrown), lab.sandboxes.executions.of(kept.id).length]).toEqual(['running', undefined, 1]);
  });
});

describe('an end that failed', () => {
  it('is tried again, ever more rarely, until it is done', async () => {
    const row = await running();
    lab.failing.add('engine.stop');
    await expect(lab.sandboxes.stop(row.id, call)).rejects.toThrow('engine.stop fails');
    for (let second = 0; second < 60; second += 1) {
      await timers.tick();
      lab.pass(1000);
    }
    expect(said.length).toBeGreaterThan(1);
    expect(said.length).toBeLessThan(6);
    lab.failing.clear();
    lab.pass(300_000);
    await timers.tick();
    expect([state(row), lab.journal().at(-1)]).toEqual(['stopped', 'sandbox.stop asked']);
  });

  it('of the look itself is logged and stops nothing', async () => {
    const broken = createTimers({
      context: lab.context,
      sandboxes: {
        ...lab.sandboxes,
        list: () => {
          throw new Error('disk full');
        },
      },
      log: (text) => said.push(text),
    });
    await broken.tick();
    expect(said).toEqual(['timer: INTERNAL: disk full']);
  });
});

describe('an idle sandbox of a caller', () => {
  it('is announced to stop, once for each time that it is unused', async () => {
    const row = await running({ policy: 'limits: { idle: 15m }', caller: 'ci' });
    const announced = () => lab.journal().filter((line) => line === 'sandbox.expiring idle-soon').length;
    await timers.tick();
    lab.pass(13 * 60_000);
    await timers.tick();
    expect(announced()).toBe(0);
    lab.pass(61_000);
    await timers.tick();
    await timers.tick();
    expect(announced()).toBe(1);
    const { execution } = await lab.sandboxes.open(row.id, request);
    await lab.sandboxes.close(execution.id, { exitCode: 0, reason: 'exited' });
    lab.pass(14 * 60_000);
    await timers.tick();
    expect([state(row), announced()]).toEqual(['running', 2]);
    lab.pass(60_000);
    await timers.tick();
    expect(state(row)).toBe('stopped');
  });
});

describe('the sandbox of a caller', () => {
  const policy = 'limits: { time: 1h }';

  it('is announced to end, ends for good, and is removed some time later', async () => {
    const row = await running({ policy, caller: 'ci' });
    await timers.tick();
    expect(lab.journal()).not.toContain('sandbox.expiring soon');
    lab.pass(56 * 60_000);
    await timers.tick();
    await timers.tick();
    expect(lab.journal().filter((line) => line === 'sandbox.expiring soon')).toHaveLength(1);
    lab.pass(4 * 60_000);
    await timers.tick();
    expect(state(row)).toBe('stopped');
    lab.pass(59 * 60_000);
    await timers.tick();
    expect(state(row)).toBe('stopped');
    lab.pass(60_000);
    await timers.tick();
    expect(state(row)).toBeUndefined();
    expect(lab.journal()).toContain('sandbox.destroy expired');
  });

  it('does not last longer by being started again, and one of a person is left alone', async () => {
    const kept = await running({ policy });
    const row = await running({ policy, caller: 'ci', name: 'again' });
    lab.pass(30 * 60_000);
    for (const { id } of [row, kept]) {
      await lab.sandboxes.stop(id, call);
      await lab.sandboxes.start(id, call);
    }
    lab.pass(30 * 60_000);
    await timers.tick();
    expect([state(row), state(kept)]).toEqual(['stopped', 'running']);
    lab.pass(10 * 3_600_000);
    await timers.tick();
    await timers.tick();
    expect([state(row), state(kept)]).toEqual([undefined, 'stopped']);
    expect(lab.journal()).toContain('sandbox.destroy expired');
  });
});
