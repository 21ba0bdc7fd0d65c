import { describe, expect, test } from 'vitest';

import { jumpDetail, wallClock } from '../../../src/journal/clock-jump.ts';

function clockAt(start: number): { wall: number; monotonic: number; nowMs: () => number; monotonicMs: () => number } {
  const clock = { wall: start, monotonic: 5, nowMs: () => clock.wall, monotonicMs: () => clock.monotonic };
  return clock;
}

describe('the times of records', () => {
  test('are RFC 3339 with milliseconds', () => {
    const clock = clockAt(Date.UTC(2026, 4, 1, 12, 0, 0, 7));
    const now = wallClock(clock, undefined);
    expect(now().time).toBe('2026-05-01T12:00:00.007Z');
    clock.wall += 999;
    clock.monotonic += 999;
    expect(now()).toEqual({ time: '2026-05-01T12:00:01.006Z', jumpMs: undefined });
  });

  test.each([
    ['set back by an hour', -3_600_000, -3_600_000],
    ['set ahead by a day', 86_400_000, 86_400_000],
    ['slewed by half a second', -500, undefined],
  ])('say when the clock was %s', (_, jump, flagged) => {
    const clock = clockAt(Date.UTC(2026, 4, 1));
    const now = wallClock(clock, undefined);
    now();
    clock.wall += 100 + jump;
    clock.monotonic += 100;
    expect(now().jumpMs).toBe(flagged);
    expect(now().jumpMs).toBeUndefined();
  });

  test('say when the clock stands behind the last record of an earlier process', () => {
    const clock = clockAt(Date.UTC(2026, 4, 1));
    expect(wallClock(clock, '2026-05-02T00:00:00.000Z')().jumpMs).toBe(-86_400_000);
    expect(wallClock(clock, '2026-04-01T00:00:00.000Z')().jumpMs).toBeUndefined();
  });

  test('put the jump beside the facts of the entry', () => {
    expect(jumpDetail({ a: 1 }, -5000)).toEqual({ a: 1, clockJumpMs: -5000 });
    expect(jumpDetail(undefined, undefined)).toBeUndefined();
  });
});
