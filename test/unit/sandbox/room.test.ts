import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import type { HostShare } from '../../../src/sandbox/host/share-limits.ts';
import { createRoom, type Place, type Room, type Wish } from '../../../src/sandbox/host/room.ts';
import { call, sandboxLab, type Lab, wideShare } from '../../helpers/sandbox-lab.ts';

const longMs = 600_000;

describe('room for one more sandbox', () => {
  let lab: Lab;
  let share: HostShare;
  let room: Room;

  beforeEach(async () => {
    lab = await sandboxLab();
    share = { ...wideShare, running: 2, callers: 3, eachCaller: 2 };
    room = createRoom({ store: lab.store, clock: lab.context.clock, share: async () => share });
  });
  afterEach(async () => await lab.remove());

  /** Who waits; `ended` says what came of it. */
  function wait(wish: Partial<Wish> = {}) {
    const told: string[] = [];
    const state: { place?: Place; error?: unknown } = {};
    const ended = room.enter({ runs: true, waitMs: longMs, tell: (text) => told.push(text), ...wish }).then(
      (place) => void (state.place = place),
      (error: unknown) => void (state.error = error),
    );
    return { told, state, ended };
  }

  const untilWaiting = (count: number) => expect.poll(() => room.waiting()).toBe(count);

  it('is there until as many run as may, counts each once, and says when to come again', async () => {
    const row = await lab.make();
    const first = await room.enter({ runs: true });
    first.is(row.id);
    await lab.sandboxes.start(row.id, call);
    const second = await room.enter({ runs: true });
    await expect(room.enter({ runs: true })).rejects.toThrow(
      'as many sandboxes run as may, 2 of 2; nobody waits; try again in 60 s',
    );
    second.leave();
    first.leave();
    (await room.enter({ runs: true })).leave();
  });

  it('says what all may take together, as it was when room was given', async () => {
    share = { ...share, running: 1 };
    const first = await room.enter({ runs: true });
    expect(first.share).toBe(share);
    const waiter = wait();
    await untilWaiting(1);
    share = { ...share, running: 2 };
    await room.refresh();
    await waiter.ended;
    expect(waiter.state.place?.share).toBe(share);
  });

  it('is soon there where a sandbox ends soon', async () => {
    share = { ...share, running: 1 };
    const row = await lab.make({ policy: 'limits: { time: 12s }' });
    await lab.sandboxes.start(row.id, call);
    await expect(room.enter({ runs: true })).rejects.toThrow('try again in 12 s');
  });

  it('is given to those who wait, the first first, and each is told its place', async () => {
    share = { ...share, running: 1 };
    const place = await room.enter({ runs: true });
    const first = wait();
    await untilWaiting(1);
    const second = wait();
    await untilWaiting(2);
    await expect(room.enter({ runs: true })).rejects.toThrow('2 wait before you');
    place.leave();
    await first.ended;
    expect(second.state).toEqual({});
    first.state.place?.leave();
    await second.ended;
    expect(first.told).toEqual(['waits for room: place 1 in the line']);
    expect(second.told).toEqual(['waits for room: place 2 in the line', 'waits for room: place 1 in the line']);
  });

  it('is nobody’s who came later, and who waits for room of its own holds up nobody', async () => {
    const own = [await room.enter({ caller: 'a', runs: false }), await room.enter({ caller: 'a', runs: false })];
    await expect(room.enter({ caller: 'a', runs: false })).rejects.toThrow('you have 2 sandboxes, and may have 2');
    const third = wait({ caller: 'a', runs: false });
    await untilWaiting(1);
    const other = await room.enter({ caller: 'b', runs: false });
    await expect(room.enter({ caller: 'c', runs: false })).rejects.toThrow('all callers together have 3 sandboxes');
    (await room.enter({ runs: true })).leave();
    other.leave();
    expect(third.state).toEqual({});
    own[0]?.leave();
    await third.ended;
    expect(third.state.place).toBeDefined();
  });

  it('is waited for no longer than was said, and by nobody who has gone', async () => {
    share = { ...share, running: 0 };
    const short = wait({ waitMs: 5 });
    const gone = new AbortController();
    const left = wait({ signal: gone.signal });
    gone.abort(new Error('gone'));
    await Promise.all([short.ended, left.ended]);
    expect(String(short.state.error)).toMatch(/there was no room within 5 ms: as many sandboxes run as may/);
    expect(String(left.state.error)).toBe('Error: gone');
    expect(room.waiting()).toBe(0);
  });

  it('is waited for by a bounded number, of which a caller is but a few', async () => {
    share = { ...share, running: 0 };
    const gone = new AbortController();
    const { signal } = gone;
    const mine = Array.from({ length: 10 }, () => wait({ caller: 'a', signal }));
    await untilWaiting(10);
    await expect(room.enter({ caller: 'a', runs: true, waitMs: longMs })).rejects.toThrow('10 of them yours');
    const others = Array.from({ length: 90 }, () => wait({ signal }));
    await untilWaiting(100);
    await expect(room.enter({ runs: true, waitMs: longMs })).rejects.toThrow('100 wait for room already');
    gone.abort();
    await Promise.all([...mine, ...others].map(({ ended }) => ended));
  });

  it('is found when the policy gives more', async () => {
    share = { ...share, running: 0 };
    const waiting = wait();
    await untilWaiting(1);
    share = { ...share, running: 1 };
    await room.refresh();
    await waiting.ended;
    expect(waiting.state.place).toBeDefined();
  });

  it('is found when a sandbox has ended', async () => {
    const small = await sandboxLab({ running: 1 });
    try {
      const row = await small.make();
      await small.sandboxes.start(row.id, call);
      const other = await small.make();
      await expect(small.sandboxes.start(other.id, call)).rejects.toMatchObject({ code: 'TOO_MANY' });
      const started = small.sandboxes.start(other.id, { ...call, line: { waitMs: longMs } });
      await expect.poll(() => small.sandboxes.room.waiting()).toBe(1);
      await small.sandboxes.stop(row.id, call);
      expect(await started).toMatchObject({ state: 'running' });
      await expect(small.sandboxes.start(other.id, call)).resolves.toMatchObject({ state: 'running' });
    } finally {
      await small.remove();
    }
  });
});
