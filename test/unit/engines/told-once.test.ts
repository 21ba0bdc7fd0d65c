/** Events of an engine that are told more than once, as after Podman has cut its log. */
import { describe, expect, it } from 'vitest';

import { toldOnce } from '../../../src/engines/docker/told-once.ts';

const startMs = 1_800_000_000_000;
const at = (ms: number): string => `${Math.floor(ms / 1000)}.${String(ms % 1000).padStart(3, '0')}000001`;
const event = (Action: string, ID = 'a') => ({ Type: 'container', Action, Actor: { ID, Attributes: {} } });

describe('events', () => {
  it('count once, whatever their order', () => {
    const told = toldOnce(() => startMs);
    const [first, second] = [at(startMs + 10), at(startMs + 5)];
    expect([told.isNew(event('start'), first), told.isNew(event('start'), second)]).toEqual([true, true]);
    expect([told.isNew(event('start'), first), told.isNew(event('start'), second)]).toEqual([false, false]);
    expect([told.isNew(event('die'), first), told.isNew(event('start', 'b'), first)]).toEqual([true, true]);
  });

  it('of a time before anybody listened count never', () => {
    const told = toldOnce(() => startMs);
    expect(told.isNew(event('start'), at(startMs - 1))).toBe(false);
  });

  it('count where the clock was set back meanwhile', () => {
    let nowMs = startMs;
    const told = toldOnce(() => nowMs);
    nowMs -= 3_600_000;
    expect(told.isNew(event('start'), at(nowMs))).toBe(true);
    expect(told.isNew(event('start'), at(nowMs))).toBe(false);
  });

  it('that are not remembered any more are old', () => {
    let nowMs = startMs;
    const told = toldOnce(() => nowMs, 4);
    const times = Array.from({ length: 40 }, (_, index) => at(startMs + index));
    nowMs += 1000;
    expect(times.map((time) => told.isNew(event('start'), time))).toEqual(times.map(() => true));
    expect(times.map((time) => told.isNew(event('start'), time))).toEqual(times.map(() => false));
  });
});
