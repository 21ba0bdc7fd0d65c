import { describe, expect, it } from 'vitest';

import { createBudgets, type Held, type Overrun } from '../../../src/gateway/guards/budgets.ts';
import { memoryLedger } from '../../../src/gateway/guards/ledger.ts';
import { priceOf, spendOf } from '../../../src/gateway/guards/prices.ts';
import type { Budget } from '../../../src/policy/guards.ts';

function budget(limits: Budget['limits'], more: Partial<Budget> = {}): Budget {
  return { credential: undefined, per: 'life', over: 'sandbox', limits, origin: { layer: 'user', source: 'test' }, ...more };
}

function lab(budgets: readonly Budget[], { ledger = memoryLedger(), time = { ms: 1_700_000_000_000 } } = {}) {
  const reserved = new Map();
  const make = (sandboxId: string) => createBudgets({ sandboxId, budgets, prices: [], ledger, reserved, nowMs: () => time.ms });
  return { make, one: make('cm-1'), ledger, time };
}

const call = { credential: 'anthropic', bytes: 10, usesModel: true };

function held(result: Held | Overrun): Held {
  if ('budget' in result) {
    throw new Error(`refused: ${result.kind}`);
  }
  return result;
}

describe('budgets', () => {
  it('requests and bytes are refused as soon as they would go past', () => {
    const { one } = lab([budget({ requests: 2, bytesOut: 25 })]);
    held(one.take(call)).settle({ requests: 1, bytesOut: 10 });
    expect(one.take({ ...call, bytes: 20 })).toMatchObject({ kind: 'bytesOut', used: 10, limit: 25 });
    held(one.take(call));
    expect(one.take({ ...call, bytes: 0 })).toMatchObject({ kind: 'requests', used: 2, limit: 2, retryMs: undefined });
  });

  it('bytes that no head announced are counted as they go, and stopped', () => {
    const { one } = lab([budget({ bytesOut: 25 })]);
    const request = held(one.take({ ...call, bytes: 0 }));
    expect(request.sent(20)).toBeUndefined();
    expect(request.sent(30)).toMatchObject({ kind: 'bytesOut' });
    request.settle({ requests: 1, bytesOut: 30 });
    expect(one.state()).toMatchObject([{ kind: 'bytesOut', used: 30, limit: 25 }]);
  });

  it('parallel requests cannot all spend what is left: one is let through, the others hear that it may come back', () => {
    const { one } = lab([budget({ spendMicros: 1000 })]);
    const requests = Array.from({ length: 10 }, () => held(one.take(call)));
    const outcomes = requests.map((request) => request.reserve({ spendMicros: 900 }));
    expect(outcomes.filter((outcome) => outcome === undefined)).toHaveLength(1);
    expect(outcomes.at(-1)).toMatchObject({ isPassing: true, retryMs: 5000 });
    requests.forEach((request, index) => request.settle(index === 0 ? { spendMicros: 400 } : {}));
    expect(one.state()).toMatchObject([{ used: 400 }]);
    expect(held(one.take(call)).reserve({ spendMicros: 5000 })).toBeUndefined();
  });

  it('what is spent is spent: the next request is refused before anything leaves', () => {
    const { one } = lab([budget({ outputTokens: 100 })]);
    const request = held(one.take(call));
    request.reserve({ outputTokens: 32_000 });
    request.settle({ requests: 1, bytesOut: 10, outputTokens: 150 });
    expect(one.take(call)).toMatchObject({ kind: 'outputTokens', used: 150, limit: 100, isPassing: false });
    expect('budget' in one.take({ ...call, usesModel: false })).toBe(false);
  });

  it('what was reserved by a process that was killed stays counted', () => {
    const first = lab([budget({ spendMicros: 1000 })]);
    held(first.one.take(call)).reserve({ spendMicros: 1200 });
    const second = lab([budget({ spendMicros: 1000 })], { ledger: first.ledger });
    expect(second.one.take(call)).toMatchObject({ kind: 'spendMicros', used: 1200 });
  });

  it('a budget of a credential counts that credential alone, one over all every sandbox', () => {
    const { make } = lab([budget({ requests: 1 }, { credential: 'anthropic', over: 'all' })]);
    held(make('cm-1').take({ ...call, credential: 'github' }));
    held(make('cm-1').take(call));
    expect(make('cm-2').take(call)).toMatchObject({ kind: 'requests' });
    held(make('cm-2').take({ ...call, credential: undefined }));
  });

  it('a window starts anew, and says when', () => {
    const { one, time } = lab([budget({ requests: 1 }, { per: 'hour' })]);
    held(one.take(call));
    const refused = one.take(call);
    const retryMs = 'budget' in refused ? (refused.retryMs ?? 0) : 0;
    expect(retryMs).toBeGreaterThan(0);
    expect(retryMs).toBeLessThanOrEqual(3_600_000);
    time.ms += retryMs;
    held(one.take(call));
  });

  it('settling twice and reserving afterwards changes nothing', () => {
    const { one } = lab([budget({ tokens: 100 })]);
    const request = held(one.take(call));
    request.settle({ tokens: 10 });
    request.settle({ tokens: 10 });
    request.reserve({ tokens: 50 });
    expect(one.state()).toMatchObject([{ used: 10 }]);
  });
});

describe('prices', () => {
  const usage = { input: 1_000_000, cacheRead: 0, cacheWrite: 0, output: 1_000_000 };

  it('the longest name decides, in the forms of every cloud', () => {
    for (const model of [
      'claude-opus-4-5',
      'claude-opus-4-5-20251101',
      'eu.anthropic.claude-opus-4-5-20251101-v1:0',
      'claude-opus-4-5@20251101',
    ]) {
      expect(spendOf(usage, priceOf(model, []).price)).toBe(30_000_000);
    }
    expect(spendOf(usage, priceOf('claude-opus-4-1-20250805', []).price)).toBe(90_000_000);
  });

  it('an unknown model is counted as the dearest that is known', () => {
    const { price, isGuess } = priceOf('new-model', []);
    expect(isGuess).toBe(true);
    expect(spendOf(usage, price)).toBeGreaterThanOrEqual(90_000_000);
    expect(priceOf(undefined, []).isGuess).toBe(true);
  });

  it("the policy's own come first", () => {
    const own = [{ model: 'claude', input: 1, output: 1, cacheRead: 1, cacheWrite: 1 }];
    expect(spendOf(usage, priceOf('claude-opus-4-5', own).price)).toBe(2_000_000);
  });
});
