import { mkdtemp, rm, stat } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { CasemateError } from '../../src/base/errors.ts';
import { connectClient } from '../../src/daemon/client.ts';
import { takeDaemonLock } from '../../src/daemon/lock.ts';
import { maxLineBytes } from '../../src/daemon/protocol.ts';
import { listenForCalls, type Calling, type Control } from '../../src/daemon/server.ts';

const refuse = async (): Promise<never> => {
  throw new CasemateError('SANDBOX_NOT_FOUND', 'no sandbox is named "x"', { hint: 'Run: casemate ls' });
};

describe('the control socket', () => {
  let folder: string;
  let path: string;
  let control: Control;
  const lost: string[] = [];

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'casemate-control-'));
    path = join(folder, 'daemon.sock');
    const calls = {
      ls: async () => [],
      start: refuse,
      trust: async (_: unknown, call: { ask: (question: never) => Promise<unknown> }) => {
        const answer = await call.ask({ kind: 'environment', names: ['KEY'] } as never);
        return { path: JSON.stringify(answer), grants: [], approved: true };
      },
      stop: async (_: unknown, call: { onLost: (work: () => void) => void; progress: (text: string) => void }) => {
        call.progress('waiting');
        call.onLost(() => void lost.push('stop'));
        return await new Promise<never>(() => undefined);
      },
    } as unknown as Calling;
    control = await listenForCalls({
      path,
      calls,
      callsOf: () => calls,
      hello: { version: '1', build: 'b' },
      onActivity: () => undefined,
    });
  });

  afterEach(async () => {
    await control.close();
    await rm(folder, { recursive: true });
  });

  const client = async (progress?: (text: string) => void) =>
    await connectClient({ socketPath: path, answer: async () => ({ KEY: 'value' }), progress });

  it('can be opened by its owner only', async () => {
    expect((await stat(path)).mode & 0o777).toBe(0o600);
  });

  it('ends the connections of a caller whose claim is over, with what it had under way, and no other', async () => {
    const claim = { name: 'ada', roots: ['/p'], token: '0'.repeat(64) };
    const options = { socketPath: path, answer: async () => undefined };
    const told: string[] = [];
    const [over, holds, person] = [
      await connectClient({ ...options, caller: claim, progress: (text) => told.push(text) }),
      await connectClient({ ...options, caller: { ...claim, token: '1'.repeat(64) } }),
      await client(),
    ];
    const [waiting, going] = [over.call('stop', { name: 'x' }), holds.call('ls', {})];
    expect(await going).toEqual([]);
    await expect.poll(() => told).toEqual(['waiting']);
    control.endCallers(({ token }) => token === claim.token);
    await expect(waiting).rejects.toMatchObject({ code: 'DAEMON_UNREACHABLE' });
    await expect.poll(() => lost).toEqual(['stop']);
    expect(await holds.call('ls', {})).toEqual([]);
    expect(await person.call('ls', {})).toEqual([]);
    [holds, person].forEach((one) => one.close());
  });

  it('gives a connection that cannot be narrowed no calls at all, and hears nobody it has hung up on', async () => {
    await control.close();
    const asked: string[] = [];
    const calls = { ls: async () => asked.push('ls') } as unknown as Calling;
    const callsOf = (): Calling => {
      throw new CasemateError('STORE_FAILED', 'the state file cannot be read');
    };
    control = await listenForCalls({ path, calls, callsOf, hello: { version: '1', build: 'b' }, onActivity: () => undefined });
    const caller = { name: 'ada', roots: ['/p'], token: '0'.repeat(64) };
    const narrowed = await connectClient({ socketPath: path, answer: async () => undefined, caller });
    await expect(narrowed.call('ls', {})).rejects.toMatchObject({ code: 'STORE_FAILED' });
    await expect(narrowed.call('ls', {})).rejects.toMatchObject({ code: 'STORE_FAILED' });
    narrowed.close();
    const socket = connect(path);
    socket.on('error', () => undefined);
    socket.write('[]\n{"type":"call","id":1,"method":"ls","params":{}}\n');
    await new Promise((done) => socket.once('close', done).resume());
    expect(asked).toEqual([]);
  });

  it('carries results, errors with their code and hint, and questions back to the caller', async () => {
    const caller = await client();
    expect(caller.hello).toMatchObject({ version: '1', build: 'b' });
    expect(await caller.call('ls', {})).toEqual([]);
    await expect(caller.call('start', { name: 'x' })).rejects.toMatchObject({
      code: 'SANDBOX_NOT_FOUND',
      hint: 'Run: casemate ls',
    });
    expect(await caller.call('trust', { cwd: '/', hash: '' })).toMatchObject({ path: '{"KEY":"value"}' });
    await expect(caller.call('no-such-call' as 'ls', {})).rejects.toThrow('no call');
    caller.close();
  });

  it('tells the daemon that a caller is gone, and the caller that the daemon is', async () => {
    const told: string[] = [];
    const caller = await client((text) => told.push(text));
    const waiting = caller.call('stop', { name: 'x' });
    await expect.poll(() => told).toEqual(['waiting']);
    caller.close();
    await expect(waiting).rejects.toMatchObject({ code: 'DAEMON_UNREACHABLE' });
    await expect.poll(() => lost).toContain('stop');
  });

  it('takes no caller for lost whom it leaves itself, and no call while it ends', async () => {
    lost.length = 0;
    const caller = await client();
    const waiting = caller.call('stop', { name: 'x' });
    waiting.catch(() => undefined);
    await caller.call('ls', {});
    await control.finish(10);
    await expect(caller.call('ls', {})).rejects.toMatchObject({ code: 'DAEMON_UNREACHABLE' });
    await control.close();
    await expect(waiting).rejects.toMatchObject({ code: 'DAEMON_UNREACHABLE' });
    expect(lost).toEqual([]);
  });

  it.each([
    ['what is not JSON', Buffer.from('hello\n')],
    ['a line without end', Buffer.alloc(maxLineBytes + 1024, 0x61)],
  ])('ends the connection on %s, and serves the next', async (_, bytes) => {
    const socket = connect(path);
    socket.on('error', () => undefined);
    socket.write(bytes);
    await new Promise((done) => socket.once('close', done).resume());
    const caller = await client();
    expect(await caller.call('ls', {})).toEqual([]);
    caller.close();
  });

  it("is one daemon's: the second does not get the lock while the first holds it", () => {
    const first = takeDaemonLock(join(folder, 'lock'));
    expect(first).toBeDefined();
    expect(takeDaemonLock(join(folder, 'lock'))).toBeUndefined();
    first?.release();
    takeDaemonLock(join(folder, 'lock'))?.release();
  });
});
