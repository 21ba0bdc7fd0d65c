import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { callsOfCaller } from '../../../src/daemon/caller-calls.ts';
import type { CallerClaim } from '../../../src/daemon/caller-view.ts';
import { createCalls } from '../../../src/daemon/calls.ts';
import type { CallContext } from '../../../src/daemon/server.ts';
import { createTimers } from '../../../src/daemon/timers.ts';
import { hashOf, judgedClaim } from '../../../src/daemon/token-claims.ts';
import { createTokenEnds, type TokenEnds } from '../../../src/daemon/token-ends.ts';
import { call, sandboxLab, type Lab } from '../../helpers/sandbox-lab.ts';

const context: CallContext = { ask: async () => undefined, progress: () => undefined, onLost: () => undefined };

describe('the end of a token', () => {
  let lab: Lab;
  let ends: TokenEnds;

  beforeEach(async () => {
    lab = await sandboxLab();
    ends = createTokenEnds({ context: lab.context, sandboxes: lab.sandboxes, actor: 'daemon' });
  });
  afterEach(async () => {
    await lab.remove();
  });

  const states = (): Record<string, string> =>
    Object.fromEntries(lab.store.list().map(({ name, state, reason }) => [name, `${state} ${reason}`]));
  const running = async (name: string, caller: string | undefined): Promise<void> => {
    await lab.make({ name, ...(caller === undefined ? {} : { caller }) });
    await lab.sandboxes.start(name, call);
  };
  const add = (name: string, lifeMs?: number): CallerClaim => {
    const createdMs = lab.time.nowMs;
    const expiresMs = lifeMs === undefined ? undefined : createdMs + lifeMs;
    lab.store.callers.add({ name, role: 'operator', roots: ['/p'], createdMs, expiresMs }, hashOf(name));
    return { name, roots: ['/p'], token: hashOf(name) };
  };
  const callsOf = (claim: CallerClaim) => {
    const timers = createTimers({ context: lab.context, sandboxes: lab.sandboxes, log: () => undefined });
    const parts = { context: lab.context, sandboxes: lab.sandboxes };
    const calls = createCalls({ ...parts, timers, status: () => ({}) as never, shutdown: async () => [], caller: claim.name });
    return callsOfCaller({ ...parts, claim: judgedClaim(lab.context, claim), calls });
  };

  it('stops what its caller has, when its time has come, and nothing of others', async () => {
    add('brief', 10_000);
    add('lasting');
    await running('a', 'brief');
    await running('b', 'lasting');
    await running('c', 'without-token');
    await running('mine', undefined);
    lab.pass(9000);
    expect(await ends.expired()).toEqual([]);
    lab.pass(1000);
    expect(await ends.expired()).toEqual(['a']);
    expect(states()).toMatchObject({
      a: 'stopped caller-expired',
      b: 'running asked',
      c: 'running asked',
      mine: 'running asked',
    });
    // Whoever starts it after that is not this token.
    await lab.sandboxes.start('a', call);
    expect(await ends.expired()).toEqual([]);
  });

  it('runs the command of one whose sandbox falls idle just before its turn', async () => {
    const claim = add('ada');
    await lab.make({ name: 'a', caller: 'ada' });
    const request = { name: 'a', command: ['id'], env: {}, tty: false, client: undefined };
    const exec = async () => await callsOf(claim).exec(request, context);
    await exec();
    await Promise.all(lab.sandboxes.executions.all().map(({ id }) => lab.sandboxes.close(id, { exitCode: 0, reason: 'exited' })));
    const idle = lab.sandboxes.stop('a', { ...call, reason: 'idle' });
    await exec();
    await idle;
    expect(lab.store.find('a')?.state).toBe('running');
    // What was stopped for another reason stays so.
    const asked = lab.sandboxes.stop('a', { ...call, reason: 'caller-revoked' });
    await expect(exec()).rejects.toMatchObject({ code: 'SANDBOX_WRONG_STATE' });
    await asked;
    expect(lab.store.find('a')?.state).toBe('stopped');
  });

  it('stops what has a command of its caller in it, also where it is that of another', async () => {
    add('chief');
    await running('a', 'ada');
    await running('b', 'ada');
    const request = { command: ['id'], tty: false, client: undefined, actor: 'caller:chief' };
    const { execution } = await lab.sandboxes.open('a', request);
    expect(await ends.revoked('chief')).toEqual(['a']);
    expect(lab.sandboxes.executions.find(execution.id)).toBeUndefined();
    expect(states()).toMatchObject({ a: 'stopped caller-revoked', b: 'running asked' });
  });

  it('leaves none running because one cannot be stopped', async () => {
    await running('a', 'ada');
    await running('b', 'ada');
    lab.failing.add('engine.stop');
    expect(await ends.revoked('ada')).toEqual([]);
    lab.failing.delete('engine.stop');
    expect(states()).toMatchObject({ a: 'stopping caller-revoked', b: 'stopping caller-revoked' });
  });

  it('makes every call of a connection that is open worth nothing', async () => {
    const claim = add('ada');
    const calls = callsOf(claim);
    expect(await calls.ls({}, context)).toEqual([]);
    lab.store.callers.revoke('ada');
    for (const method of ['ls', 'plan', 'create', 'exec', 'inspect', 'destroy', 'resume', 'close'] as const) {
      await expect(calls[method]({} as never, context), method).rejects.toThrow('revoked or has expired');
    }
    // Nor is what is said of it again.
    await expect(callsOf(claim).ls({}, context)).rejects.toThrow('revoked or has expired');
  });

  it('is judged by what was added, whatever a claim says', () => {
    const claim = add('ada');
    expect(judgedClaim(lab.context, { ...claim, role: 'admin', roots: ['/'], name: 'root' })).toEqual({
      name: 'ada',
      role: 'operator',
      roots: ['/p'],
      token: hashOf('ada'),
    });
  });
});
