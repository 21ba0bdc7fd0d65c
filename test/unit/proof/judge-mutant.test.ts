/** A mutant is caught by what each probe it names says, and by nothing less. */
import { describe, expect, test } from 'vitest';

import { judgeBaseline, judgeMutant } from '../../mutants/judge-mutant.ts';
import type { Finding, Verdict } from '../../../src/proof/finding.ts';
import type { Proved } from '../../mutants/prove-build.ts';

const finding = (probe: string, verdict: Verdict, why?: string): Finding => ({ probe, verdict, why, rows: [], ms: 1 });
const proved = (...findings: Finding[]): Proved => ({ proof: { findings, verdicts: [] }, ms: 5 });
const mutant = { name: 'm', weakens: 'w', file: 'src/a.ts', find: 'a', replace: 'b', caughtBy: ['a.one', 'a.two'] };

describe('a mutant', () => {
  test('is caught when each probe it names says broken; what else says so is told', () => {
    const seen = proved(finding('a.one', 'broken'), finding('a.two', 'broken'), finding('b.more', 'broken'));
    expect(judgeMutant(mutant, seen)).toMatchObject({ outcome: 'caught', by: ['a.one', 'a.two', 'b.more'] });
  });

  test.each<[string, Proved, RegExp]>([
    ['one of them held', proved(finding('a.one', 'broken'), finding('a.two', 'held')), /a\.two said held/],
    ['one could not tell', proved(finding('a.one', 'inconclusive', 'dead'), finding('a.two', 'broken')), /inconclusive \(dead\)/],
    ['one did not run', proved(finding('a.one', 'broken')), /a\.two said nothing/],
    ['there was no proof', { fault: 'it crashed', ms: 1 }, /no proof: it crashed/],
  ])('is not caught when %s', (_, seen, why) => {
    const result = judgeMutant(mutant, seen);
    expect(result.outcome).toBe('missed');
    expect(result.why).toMatch(why);
  });
});

describe('the product itself', () => {
  test('must hold in every probe that a mutant names', () => {
    const findings = [finding('a.one', 'held'), finding('a.two', 'broken', 'open'), finding('a.three', 'inconclusive')];
    expect(judgeBaseline(findings, ['a.one', 'a.two', 'a.three', 'a.four']).faults).toEqual([
      'a.two: broken: open',
      'a.three: inconclusive',
      'a.four did not run',
    ]);
  });

  test('has probes with nothing to attack here, whose mutants are left out', () => {
    const { faults, absent } = judgeBaseline([finding('a.one', 'not-applicable', 'no agent')], ['a.one']);
    expect(faults).toEqual([]);
    expect(absent.get('a.one')).toBe('no agent');
  });
});
