/** The life of a sandbox on the memory engine, and what is left when any step of it fails. */
import { lstat } from 'node:fs/promises';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { sandboxFolder } from '../../src/sandbox/host-files/folder.ts';
import { call, sandboxLab, type Lab } from '../helpers/sandbox-lab.ts';

let lab: Lab;

beforeEach(async () => {
  lab = await sandboxLab();
});

afterEach(async () => {
  await lab.remove();
});

const state = (name: string) => lab.store.find(name)?.state;

/** Nothing runs, listens or is held for any sandbox. */
function expectNothingLeft(): void {
  expect([...lab.served.keys()]).toEqual([]);
  expect(lab.openIngresses.size).toBe(0);
  expect(lab.context.held.size).toBe(0);
}

async function engineHas(): Promise<readonly string[]> {
  return (await lab.engine.list(lab.store.ownerId)).map((entry) => entry.state);
}

describe('the life of a sandbox', () => {
  it('goes from create over start, stop and start to destroy, with one record for each', async () => {
    const { id } = await lab.make({ name: 'work' });
    expect(state('work')).toBe('created');
    expect((await lab.sandboxes.start('work', call)).state).toBe('running');
    expect([lab.served.has(id), lab.context.held.has(id), await engineHas()]).toEqual([true, true, ['running']]);
    expect((await lab.sandboxes.stop('work', call)).state).toBe('stopped');
    expectNothingLeft();
    expect(await engineHas()).toEqual([]);
    expect((await lab.sandboxes.start('work', call)).state).toBe('running');
    expect(await lab.sandboxes.destroy('work', call)).toMatchObject({ alreadyGone: false, name: 'work' });
    expect(state('work')).toBeUndefined();
    expectNothingLeft();
    await expect(lstat(sandboxFolder(lab.context.paths, id))).rejects.toMatchObject({ code: 'ENOENT' });
    expect(lab.journal()).toEqual([
      'sandbox.create ok',
      'sandbox.start accepted',
      'sandbox.stop asked',
      'sandbox.start accepted',
      'sandbox.destroy asked',
    ]);
  });

  it('notices that its first process is gone, and starts again', async () => {
    const { id } = await lab.make({ name: 'work' });
    await lab.sandboxes.start('work', call);
    await lab.engine.stop(id, { graceMs: 0 });
    const request = {
      command: ['true'],
      cwd: undefined,
      env: undefined,
      tty: false,
      timeoutMs: undefined,
      client: undefined,
      actor: 'user:0',
    };
    await expect(lab.sandboxes.open('work', request)).rejects.toMatchObject({
      code: 'SANDBOX_WRONG_STATE',
      hint: 'Run: casemate start work',
    });
    expect(state('work')).toBe('stopped');
    expectNothingLeft();
    await lab.sandboxes.start('work', call);
    await lab.engine.stop(id, { graceMs: 0 });
    expect((await lab.sandboxes.start('work', call)).state).toBe('running');
    expect(await engineHas()).toEqual(['running']);
    expect(lab.journal().filter((line) => line === 'sandbox.stop died')).toHaveLength(2);
  });

  it('says everything twice without harm', async () => {
    await lab.make({ name: 'work' });
    const started = await Promise.all([lab.sandboxes.start('work', call), lab.sandboxes.start('work', call)]);
    expect(started.map((row) => row.state)).toEqual(['running', 'running']);
    await Promise.all([lab.sandboxes.stop('work', call), lab.sandboxes.stop('work', call)]);
    const gone = await Promise.all([lab.sandboxes.destroy('work', call), lab.sandboxes.destroy('work', call)]);
    expect(gone.map((answer) => answer.alreadyGone)).toEqual([false, true]);
    expect(await lab.sandboxes.destroy('work', call)).toMatchObject({ alreadyGone: true, name: 'work' });
    expect(lab.journal()).toEqual(['sandbox.create ok', 'sandbox.start accepted', 'sandbox.stop asked', 'sandbox.destroy asked']);
  });

  it('takes a destroy that comes while it starts when the start is over', async () => {
    const { id } = await lab.make({ name: 'work' });
    const starting = lab.sandboxes.start('work', call);
    // Before that it only looks for room, which holds nobody up.
    while (state(id) !== 'starting') {
      await nextTurn();
    }
    const [started, gone] = await Promise.all([starting, lab.sandboxes.destroy('work', call)]);
    expect([started.state, gone.alreadyGone]).toEqual(['running', false]);
    expectNothingLeft();
    expect(await engineHas()).toEqual([]);
  });

  it('takes room like any other where it ended after it was looked at', async () => {
    const small = await sandboxLab({ running: 1 });
    await small.make({ name: 'first' });
    await small.make({ name: 'second' });
    await small.sandboxes.start('first', call);
    const second = small.sandboxes.start('second', { ...call, line: { waitMs: 60_000 } });
    while (small.sandboxes.room.waiting() === 0) {
      await nextTurn();
    }
    const [, again] = await Promise.allSettled([small.sandboxes.stop('first', call), small.sandboxes.start('first', call)]);
    expect(again).toMatchObject({ status: 'rejected', reason: { code: 'TOO_MANY' } });
    expect((await second).state).toBe('running');
    expect(small.store.list().filter((row) => row.state === 'running')).toHaveLength(1);
    await small.remove();
  });

  it('goes with its own command, and not with one that waited for its start', async () => {
    const { id } = await lab.make({ name: 'work', ephemeral: true });
    const request = { command: ['sh'], tty: false, client: undefined, actor: 'user:0' };
    const starting = lab.sandboxes.startFor('work', call, request);
    while (state(id) !== 'starting') {
      await nextTurn();
    }
    const [own, other] = await Promise.all([starting, lab.sandboxes.open('work', request)]);
    await lab.sandboxes.close(other.execution.id, { exitCode: 0, reason: 'exited' });
    await lab.sandboxes.settled();
    expect(state(id)).toBe('running');
    await lab.sandboxes.close(own.execution.id, { exitCode: 0, reason: 'exited' });
    await lab.sandboxes.settled();
    expect(state(id)).toBeUndefined();
  });

  it('is destroyed at once while a start still looks for room, which is told so', async () => {
    await lab.make({ name: 'work' });
    const starting = lab.sandboxes.start('work', call);
    const [start, end] = await Promise.allSettled([starting, lab.sandboxes.destroy('work', call)]);
    expect([start, end]).toMatchObject([
      { status: 'rejected', reason: { code: 'SANDBOX_NOT_FOUND' } },
      { status: 'fulfilled', value: { alreadyGone: false } },
    ]);
    expectNothingLeft();
  });

  it('takes a start that comes while it is destroyed as one of a sandbox that is not there', async () => {
    await lab.make({ name: 'work' });
    const gone = lab.sandboxes.destroy('work', call);
    await expect(lab.sandboxes.start('work', call)).rejects.toMatchObject({ code: 'SANDBOX_NOT_FOUND' });
    await gone;
  });

  it('refuses a name that another has, one that is none, and gives two without a name two names', async () => {
    await lab.make({ name: 'work' });
    await expect(lab.make({ name: 'work' })).rejects.toMatchObject({ code: 'NAME_IN_USE' });
    await expect(lab.make({ name: 'No/Good' })).rejects.toMatchObject({ code: 'NAME_INVALID' });
    const rows = await Promise.all([lab.make(), lab.make()]);
    expect(rows.map((row) => row.name).toSorted()).toEqual(['here', 'here-2']);
  });

  it('destroys a throw-away sandbox that is stopped', async () => {
    const { id } = await lab.make({ ephemeral: true });
    await lab.sandboxes.start(id, call);
    await lab.sandboxes.stop(id, call);
    await lab.sandboxes.settled();
    expect(state(id)).toBeUndefined();
  });
});

describe('a create that fails', () => {
  it('leaves no sandbox when the journal cannot be written', async () => {
    lab.failing.add('journal:sandbox.create');
    await expect(lab.make({ name: 'work' })).rejects.toMatchObject({ code: 'JOURNAL_UNWRITABLE' });
    expect(lab.sandboxes.list()).toEqual([]);
    lab.failing.clear();
    await lab.make({ name: 'work' });
  });
});

describe('a start that fails', () => {
  const steps: readonly [string, string, readonly string[]][] = [
    ['store:starting', 'STORE_FAILED', []],
    ['journal:sandbox.start', 'JOURNAL_UNWRITABLE', []],
    ['engine.create', 'ENGINE_FAILED', ['sandbox.start accepted', 'sandbox.start-failed ENGINE_FAILED']],
    ['engine.ingress', 'ENGINE_FAILED', ['sandbox.start accepted', 'sandbox.start-failed ENGINE_FAILED']],
    ['gateway.attach', 'GATEWAY_FAILED', ['sandbox.start accepted', 'sandbox.start-failed GATEWAY_FAILED']],
    ['engine.start', 'ENGINE_FAILED', ['sandbox.start accepted', 'sandbox.start-failed ENGINE_FAILED']],
    ['store:running', 'STORE_FAILED', ['sandbox.start accepted', 'sandbox.start-failed STORE_FAILED']],
  ];

  it.each(steps)('at %s gives everything back, and can be tried again', async (step, code, records) => {
    await lab.make({ name: 'work' });
    lab.failing.add(step);
    await expect(lab.sandboxes.start('work', call)).rejects.toMatchObject({ code });
    expect(state('work')).toBe('created');
    expectNothingLeft();
    expect(await engineHas()).toEqual([]);
    expect(lab.journal().slice(1)).toEqual(records);
    lab.failing.clear();
    expect((await lab.sandboxes.start('work', call)).state).toBe('running');
  });

  it('after a stop leaves it stopped', async () => {
    await lab.make({ name: 'work' });
    await lab.sandboxes.start('work', call);
    await lab.sandboxes.stop('work', call);
    lab.failing.add('engine.create');
    await expect(lab.sandboxes.start('work', call)).rejects.toMatchObject({ code: 'ENGINE_FAILED' });
    expect(state('work')).toBe('stopped');
  });

  it('and cannot be undone leaves it stopping, from where stop finishes it', async () => {
    await lab.make({ name: 'work' });
    lab.failing.add('engine.start').add('engine.remove');
    await expect(lab.sandboxes.start('work', call)).rejects.toThrow('engine.start fails');
    expect(state('work')).toBe('stopping');
    expectNothingLeft();
    await expect(lab.sandboxes.start('work', call)).rejects.toMatchObject({ code: 'SANDBOX_WRONG_STATE' });
    lab.failing.clear();
    expect((await lab.sandboxes.stop('work', call)).state).toBe('stopped');
    expect(await engineHas()).toEqual([]);
  });

  it('tells of the first fault when its failure cannot be recorded or written down', async () => {
    await lab.make({ name: 'work' });
    lab.failing.add('engine.start').add('journal:sandbox.start-failed').add('store:created');
    await expect(lab.sandboxes.start('work', call)).rejects.toThrow('engine.start fails');
    expect(state('work')).toBe('starting');
    expectNothingLeft();
    lab.failing.clear();
    await lab.sandboxes.destroy('work', call);
  });
});

describe('an end that fails', () => {
  beforeEach(async () => {
    await lab.make({ name: 'work' });
    await lab.sandboxes.start('work', call);
  });

  it.each([['gateway.detach'], ['engine.stop'], ['engine.remove'], ['journal:sandbox.stop'], ['store:stopped']])(
    'at %s is finished by a second stop, with one record',
    async (step) => {
      lab.failing.add(step);
      await expect(lab.sandboxes.stop('work', call)).rejects.toThrow(`${step} fails`);
      expect(state('work')).toBe('stopping');
      await expect(lab.sandboxes.start('work', call)).rejects.toMatchObject({ code: 'SANDBOX_WRONG_STATE' });
      lab.failing.clear();
      expect((await lab.sandboxes.stop('work', call)).state).toBe('stopped');
      expectNothingLeft();
      expect(lab.journal().filter((line) => line === 'sandbox.stop asked').length).toBe(1);
    },
  );

  it.each(['stop', 'destroy'] as const)(
    'of which the state file knows nothing yet ends no command on record: %s',
    async (method) => {
      await lab.sandboxes.open('work', { command: ['sh'], tty: false, client: undefined, actor: 'user:1' });
      lab.failing.add('store:stopping').add('store:removing');
      await expect(lab.sandboxes[method]('work', call)).rejects.toMatchObject({ code: 'STORE_FAILED' });
      // Who comes after a kill here takes the sandbox back, and the command with it.
      expect([state('work'), lab.store.openExecutions().length]).toEqual(['running', 1]);
      expect(lab.journal()).not.toContain('exec.end stopped');
    },
  );

  it('because the journal cannot be written has ended the sandbox all the same', async () => {
    lab.failing.add('journal:sandbox.destroy').add('journal:exec.end');
    await lab.sandboxes.open('work', { command: ['sh'], tty: false, client: undefined, actor: 'user:1' });
    await expect(lab.sandboxes.destroy('work', call)).rejects.toMatchObject({ code: 'JOURNAL_UNWRITABLE' });
    expect(state('work')).toBe('removing');
    expectNothingLeft();
    expect(await engineHas()).toEqual([]);
    lab.failing.clear();
    await lab.sandboxes.destroy('work', call);
    expect(lab.journal().slice(-2)).toEqual(['exec.end stopped', 'sandbox.destroy asked']);
  });
});

describe('commands in a sandbox', () => {
  const request = { command: ['sh', '-c', 'secret argument'], tty: false, client: undefined, actor: 'user:1' };

  beforeEach(async () => {
    await lab.make({ name: 'work' });
    await lab.sandboxes.start('work', call);
  });

  it('are recorded when they start and once when they end, without their arguments', async () => {
    const { execution } = await lab.sandboxes.open('work', request);
    expect(lab.store.openExecutions().map(({ id }) => id)).toEqual([execution.id]);
    const outcome = { exitCode: 3, reason: 'exited' };
    const ends = await Promise.all([lab.sandboxes.close(execution.id, outcome), lab.sandboxes.close(execution.id, outcome)]);
    expect(ends.filter((end) => end !== undefined)).toHaveLength(1);
    expect(lab.store.openExecutions()).toEqual([]);
    expect(lab.journal().slice(2)).toEqual(['exec.start accepted', 'exec.end exited']);
    expect(JSON.stringify(lab.records)).not.toContain('secret argument');
    expect(lab.records.at(-1)?.detail).toMatchObject({ exitCode: 3, ms: 0 });
  });

  it('are recorded as they ended, also where that could be written down only later', async () => {
    const { execution } = await lab.sandboxes.open('work', request);
    lab.failing.add('journal:exec.end');
    await expect(lab.sandboxes.close(execution.id, { exitCode: 3, reason: 'exited' })).rejects.toMatchObject({
      code: 'JOURNAL_UNWRITABLE',
    });
    lab.failing.clear();
    // What its caller's connection leads to when it ends.
    await lab.sandboxes.close(execution.id, { exitCode: undefined, reason: 'client-lost' });
    expect(lab.journal().slice(2)).toEqual(['exec.start accepted', 'exec.end exited']);
    expect(lab.records.at(-1)?.detail).toMatchObject({ exitCode: 3 });
  });

  it('do not begin where the journal cannot be written', async () => {
    lab.failing.add('journal:exec.start');
    await expect(lab.sandboxes.open('work', request)).rejects.toMatchObject({ code: 'JOURNAL_UNWRITABLE' });
    expect(lab.sandboxes.executions.all()).toEqual([]);
  });

  it('that the runtime refuses have an end in the journal, too', async () => {
    lab.failing.add('engine.attach');
    await expect(lab.sandboxes.open('work', request)).rejects.toMatchObject({ code: 'ENGINE_FAILED' });
    expect(lab.journal().slice(2)).toEqual(['exec.start accepted', 'exec.end ENGINE_FAILED']);
    expect(lab.sandboxes.executions.all()).toEqual([]);
  });

  it('are refused in one that does not run', async () => {
    await lab.sandboxes.stop('work', call);
    await expect(lab.sandboxes.open('work', request)).rejects.toMatchObject({ code: 'SANDBOX_WRONG_STATE' });
  });

  it('end with the sandbox', async () => {
    const { execution } = await lab.sandboxes.open('work', request);
    await lab.sandboxes.stop('work', call);
    expect(await lab.sandboxes.close(execution.id, { exitCode: 137, reason: 'exited' })).toBeUndefined();
    expect(lab.journal().slice(2)).toEqual(['exec.start accepted', 'exec.end stopped', 'sandbox.stop asked']);
  });

  it('of a throw-away sandbox take it with them, also when their end cannot be recorded', async () => {
    for (const failing of [[], ['journal:exec.end']]) {
      const { id } = await lab.make({ ephemeral: true });
      await lab.sandboxes.start(id, call);
      const { execution } = await lab.sandboxes.open(id, request);
      failing.forEach((step) => lab.failing.add(step));
      await lab.sandboxes.close(execution.id, { exitCode: 0, reason: 'exited' }).catch(() => undefined);
      await lab.sandboxes.settled();
      expect(state(id)).toBeUndefined();
      lab.failing.clear();
    }
  });

  it('of a throw-away sandbox leave it alone where they only looked in', async () => {
    const { id } = await lab.make({ ephemeral: true });
    await lab.sandboxes.start(id, call);
    const { execution: own } = await lab.sandboxes.open(id, request);
    const { execution: other } = await lab.sandboxes.open(id, request);
    await lab.sandboxes.close(other.id, { exitCode: 0, reason: 'exited' });
    await lab.sandboxes.settled();
    expect(state(id)).toBe('running');
    await lab.sandboxes.close(own.id, { exitCode: 0, reason: 'exited' });
    await lab.sandboxes.settled();
    expect(state(id)).toBeUndefined();
  });
});
