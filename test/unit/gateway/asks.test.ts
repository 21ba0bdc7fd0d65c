import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';

import { parseHost } from '../../../src/base/host.ts';
import { askLimits, createAsks, type Asks } from '../../../src/gateway/asks/asks.ts';
import type { AskAnswer, AskingSandbox, Question } from '../../../src/gateway/asks/question.ts';
import type { NetworkRule } from '../../../src/policy/policy.ts';
import { rule } from '../../helpers/network-rule.ts';

const question = (path: string, more: Partial<Question> = {}): Question => ({
  host: parseHost('api.example.com'),
  port: 443,
  scheme: 'https',
  method: 'GET',
  path,
  target: path,
  reason: 'host-not-allowed',
  contentBytes: undefined,
  contentType: undefined,
  program: undefined,
  ...more,
});

let asks: Asks;
let notes: string[];
let policyHash: string;
let rules: readonly NetworkRule[];
const stay = new AbortController().signal;

function open(more: Partial<AskingSandbox> = {}): void {
  asks.open({
    id: 'cm-1',
    name: 'lab',
    settings: { waitMs: 60_000, when: 'always' },
    bound: undefined,
    rules: () => rules,
    policyHash: () => policyHash,
    note: (outcome, view) => void notes.push(`${outcome} ${view.path}`),
    ...more,
  });
}

/** What an exchange got, or `held` while it waits. */
function raise(path: string, more: Partial<Question> = {}, signal = stay): { now: () => Promise<AskAnswer | 'held'> } {
  let answer: AskAnswer | 'held' = 'held';
  void asks.raise('cm-1', question(path, more), signal).then((given) => (answer = given));
  return {
    async now() {
      await vi.advanceTimersByTimeAsync(0);
      return answer;
    },
  };
}
const idOf = (path: string): string => asks.list().find((view) => view.path === path)?.id ?? 'none';
const denied = (why: string) => expect.objectContaining({ kind: 'denied', why });

beforeEach(() => {
  vi.useFakeTimers();
  asks = createAsks({ clock: { nowMs: () => Date.now(), monotonicMs: () => Date.now() } });
  notes = [];
  policyHash = 'first';
  rules = [];
});
afterEach(() => {
  asks.close('cm-1');
  vi.useRealTimers();
});

describe('a denied request', () => {
  test('waits for an answer, and goes once with it', async () => {
    open();
    const held = raise('/x');
    expect(await held.now()).toBe('held');
    const id = idOf('/x');
    expect(asks.claim(id).allowOnce()).toBe(true);
    expect(await held.now()).toEqual({ kind: 'once', id });
    expect(notes).toEqual(['waiting /x']);
  });

  test('is denied when nobody answers in time, on record, and can be answered for the next time', async () => {
    open();
    const held = raise('/x');
    await vi.advanceTimersByTimeAsync(59_999);
    expect(await held.now()).toBe('held');
    await vi.advanceTimersByTimeAsync(1);
    expect(await held.now()).toEqual(denied('no-answer'));
    expect(notes).toEqual(['waiting /x', 'no-answer /x']);
    expect(asks.list()).toMatchObject([{ state: 'denied', held: 0 }]);
  });

  test('that nobody answered is not asked again for a while, and then it is', async () => {
    open();
    raise('/x');
    await vi.advanceTimersByTimeAsync(60_000);
    expect(await raise('/x').now()).toEqual(denied('asked-before'));
    await vi.advanceTimersByTimeAsync(askLimits.quietMs);
    expect(await raise('/x').now()).toBe('held');
  });

  test('that a person denied is denied at once, whatever its query, for a while', async () => {
    open();
    const held = raise('/x', { target: '/x?a' });
    await held.now();
    asks.claim(idOf('/x')).deny('while');
    expect(await held.now()).toEqual(denied('denied-by-person'));
    expect(await raise('/x', { target: '/x?b' }).now()).toEqual(denied('denied-by-person'));
    await vi.advanceTimersByTimeAsync(askLimits.quietMs);
    expect(await raise('/x', { target: '/x?b' }).now()).toBe('held');
  });

  test('that a person denied for the life of the sandbox stays denied, also under the next daemon', async () => {
    open({ refused: [JSON.stringify(['api.example.com', 443, 'GET', '/x'])] });
    await vi.advanceTimersByTimeAsync(10 * askLimits.quietMs);
    expect(await raise('/x').now()).toEqual(denied('denied-by-person'));
    expect(await raise('/y').now()).toBe('held');
  });

  test('asked many times at once is one question, and a yes for once lets one of them go', async () => {
    open();
    const all = Array.from({ length: 5 }, () => raise('/x'));
    await all[0]?.now();
    expect(asks.list()).toMatchObject([{ held: 5, count: 5 }]);
    const first = idOf('/x');
    asks.claim(first).allowOnce();
    const answers = await Promise.all(all.map((one) => one.now()));
    expect(answers.filter((answer) => answer !== 'held')).toEqual([{ kind: 'once', id: first }]);
    expect(idOf('/x')).not.toBe(first);
    expect(notes).toEqual(['waiting /x']);
  });

  test('waits only while somebody looks, where the policy says so', async () => {
    open({ settings: { waitMs: 60_000, when: 'watched' } });
    expect(await raise('/x').now()).toEqual(denied('nobody-looks'));
    expect(asks.list()).toMatchObject([{ state: 'denied', path: '/x' }]);
    const stop = asks.watch(
      () => undefined,
      () => undefined,
    );
    expect(await raise('/x').now()).toBe('held');
    stop();
    expect(await raise('/y').now()).toEqual(denied('nobody-looks'));
  });

  test('of a sandbox that may not ask, or beyond the organisation, is neither held nor listed', async () => {
    open({ settings: { waitMs: undefined, when: 'always' } });
    expect(await raise('/x').now()).toEqual({ kind: 'denied', why: 'off', id: undefined });
    asks.close('cm-1');
    open({ bound: [rule('other.example.com')] });
    expect(await raise('/x').now()).toEqual({ kind: 'denied', why: 'beyond-bound', id: undefined });
    expect(asks.list()).toEqual([]);
  });
});

describe('an id', () => {
  test('counts once: a second answer with it finds nothing', async () => {
    open();
    await raise('/x').now();
    const id = idOf('/x');
    asks.claim(id).allowOnce();
    expect(() => asks.claim(id)).toThrow(/no request .* can be answered/);
    await raise('/x').now();
    expect(idOf('/x')).not.toBe(id);
    expect(() => asks.claim(id)).toThrow(/no request .* can be answered/);
  });

  test('that is guessed, or changed in one letter, finds nothing', async () => {
    open();
    await raise('/x').now();
    const id = idOf('/x');
    const other = `${id.slice(0, -1)}${id.endsWith('a') ? 'b' : 'a'}`;
    for (const guess of [other, id.toUpperCase(), id.slice(0, -1), '', 'ask-aaaaaaaaaaaa']) {
      expect(() => asks.claim(guess)).toThrow(/no request .* can be answered/);
    }
  });

  test('is of no use once the rules have changed: what is asked has another one then', async () => {
    open();
    await raise('/x').now();
    const id = idOf('/x');
    policyHash = 'second';
    expect(() => asks.claim(id)).toThrow(/no request .* can be answered/);
    asks.recheck('cm-1', () => false);
    expect(idOf('/x')).not.toBe(id);
    expect(asks.claim(idOf('/x')).view.path).toBe('/x');
  });

  test('cannot be answered twice at the same time', async () => {
    open();
    await raise('/x').now();
    const claim = asks.claim(idOf('/x'));
    expect(() => asks.claim(idOf('/x'))).toThrow(/no request .* can be answered/);
    claim.release();
    expect(() => asks.claim(idOf('/x'))).not.toThrow();
  });

  test('is another one for every request that differs in what is shown', async () => {
    open();
    const changes: readonly Partial<Question>[] = [
      {},
      { method: 'POST' },
      { target: '/x?q' },
      { port: 80 },
      { contentBytes: 1 },
      { program: 'curl' },
    ];
    for (const change of changes) {
      await raise('/x', change).now();
    }
    expect(new Set(asks.list().map(({ id }) => id)).size).toBe(changes.length);
  });
});

describe('the bounds', () => {
  test('no more than so many wait, the rest is denied at once, and leaving makes no room', async () => {
    open();
    const gone = new AbortController();
    const first = Array.from({ length: askLimits.waiting }, (_, index) => raise(`/${index}`, {}, gone.signal));
    await first[0]?.now();
    gone.abort();
    const more = Array.from({ length: 1000 }, (_, index) => raise(`/more/${index}`));
    expect(await more[0]?.now()).toEqual(denied('too-many'));
    expect((await Promise.all(more.map((one) => one.now()))).every((answer) => answer !== 'held')).toBe(true);
    expect(asks.list().length).toBeLessThanOrEqual(askLimits.known);
    expect(notes.length).toBe(askLimits.waiting);
  });

  test('no more than so many exchanges are held for the same question', async () => {
    open();
    const all = Array.from({ length: 1000 }, () => raise('/x'));
    const answers = await Promise.all(all.map((one) => one.now()));
    expect(answers.filter((answer) => answer === 'held')).toHaveLength(askLimits.held);
  });

  test('what is old is forgotten', async () => {
    open();
    raise('/x');
    await vi.advanceTimersByTimeAsync(askLimits.keptMs + 1);
    expect(asks.list()).toEqual([]);
  });

  test('of one sandbox are not those of another', async () => {
    open();
    for (let index = 0; index < askLimits.waiting; index += 1) {
      await raise(`/${index}`).now();
    }
    open({ id: 'cm-2' });
    const other = asks.raise('cm-2', question('/x'), stay);
    await vi.advanceTimersByTimeAsync(0);
    expect(asks.list().filter(({ sandbox }) => sandbox === 'cm-2')).toMatchObject([{ state: 'waiting' }]);
    asks.close('cm-2');
    expect(await other).toEqual(denied('ended'));
  });
});

test('new rules let go what they allow, and leave the rest', async () => {
  open();
  const allowed = raise('/x');
  const left = raise('/y');
  await left.now();
  asks.recheck('cm-1', ({ path }) => path === '/x');
  expect(await allowed.now()).toEqual({ kind: 'changed' });
  expect(await left.now()).toBe('held');
});

test('the end of a sandbox ends what waits in it', async () => {
  open();
  const held = raise('/x');
  await held.now();
  asks.close('cm-1');
  expect(await held.now()).toEqual(denied('ended'));
  expect(asks.list()).toEqual([]);
});

test('a request that is answered while its time ends is not denied meanwhile', async () => {
  open();
  const held = raise('/x');
  await held.now();
  const claim = asks.claim(idOf('/x'));
  await vi.advanceTimersByTimeAsync(61_000);
  expect(await held.now()).toBe('held');
  expect(claim.allowOnce()).toBe(true);
  expect(await held.now()).toMatchObject({ kind: 'once' });
});
