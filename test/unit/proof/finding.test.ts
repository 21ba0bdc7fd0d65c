import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { attack, combine, control, judge, type Row, type Verdict } from '../../../src/proof/finding.ts';

const blocked = attack('open a door', { expected: 'closed', seen: 'closed', ok: true });
const through = attack('open a door', { expected: 'closed', seen: 'open', ok: false });
const unsure = attack('open a door', { expected: 'closed', seen: 'no door', ok: undefined });
const alive = control('knock', { expected: 'answer', seen: 'answer', ok: true });
const dead = control('knock', { expected: 'answer', seen: 'silence', ok: false });

describe('the verdict of a probe', () => {
  it.each<[readonly Row[], Verdict]>([
    [[blocked, alive], 'held'],
    [[through, alive], 'broken'],
    [[through, dead], 'broken'],
    [[through, unsure, blocked], 'broken'],
    [[blocked, dead], 'inconclusive'],
    [[blocked, unsure, alive], 'inconclusive'],
    [[blocked], 'inconclusive'],
    [[alive], 'inconclusive'],
    [[], 'inconclusive'],
    [[blocked, control('knock', { expected: 'answer', seen: 'nobody home', ok: undefined })], 'inconclusive'],
  ])('%j is %s', (rows, verdict) => {
    expect(judge({ rows }).verdict).toBe(verdict);
  });

  it('says why it is not held', () => {
    expect(judge({ rows: [through, alive] }).why).toBe('open a door: expected closed, saw open');
    expect(judge({ rows: [blocked, dead] }).why).toBe('the control failed: knock: expected answer, saw silence');
    expect(judge({ rows: [blocked, alive] }).why).toBeUndefined();
    expect(judge({ notApplicable: 'there is no door' })).toEqual({ verdict: 'not-applicable', why: 'there is no door' });
  });

  it('is never held where one attack got through, or without an attack and a control that worked', () => {
    const row = fc.record({
      kind: fc.constantFrom('attack' as const, 'control' as const),
      what: fc.constant('x'),
      expected: fc.constant('x'),
      seen: fc.constant('x'),
      ok: fc.constantFrom(true, false, undefined),
      from: fc.constantFrom('inside' as const, 'outside' as const),
    });
    fc.assert(
      fc.property(fc.array(row), (rows) => {
        const { verdict } = judge({ rows });
        const all = rows.every(({ ok }) => ok === true);
        const both = ['attack', 'control'].every((kind) => rows.some((one) => one.kind === kind));
        expect(verdict === 'held').toBe(all && both);
        expect(verdict === 'broken').toBe(rows.some(({ kind, ok }) => kind === 'attack' && ok === false));
      }),
    );
  });
});

describe('the verdict on a guarantee', () => {
  it.each<[readonly Verdict[], Verdict]>([
    [['held', 'held'], 'held'],
    [['held', 'broken', 'inconclusive'], 'broken'],
    [['held', 'inconclusive'], 'inconclusive'],
    [['held', 'not-applicable'], 'held'],
    [['not-applicable'], 'not-applicable'],
    [[], 'inconclusive'],
  ])('%j together are %s', (verdicts, together) => {
    expect(combine(verdicts)).toBe(together);
  });
});
