import { describe, expect, it } from 'vitest';

import { attack, control } from '../../../src/proof/finding.ts';
import { everyRow } from '../../../src/proof/probe.ts';
import { kernelProbes } from '../../../src/proof/probes/kernel.ts';
import { judgeWaived } from '../../../src/proof/waived.ts';

const works = control('getpid', { expected: 'DONE', seen: 'DONE', ok: true });
const filter = (ok: boolean) => attack('seccomp mode', { expected: '2', seen: ok ? '2' : '0', ok });
const rights = (ok: boolean) => attack('CapEff', { expected: 'empty', seen: ok ? '0' : '1', ok });
const layers = kernelProbes['kernel.privilege']?.layers;

describe('a layer that a person waived', () => {
  it('takes the attacks that rest on it out of the verdict', () => {
    const seen = { rows: [filter(false), rights(true), works] };
    expect(judgeWaived(seen, layers, ['seccomp'])).toEqual({
      verdict: 'not-applicable',
      why: 'waived by a person: seccomp (seccomp mode: expected 2, saw 0)',
    });
    expect(judgeWaived(seen, layers, ['user-namespace']).verdict).toBe('broken');
    expect(judgeWaived(seen, layers).verdict).toBe('broken');
    expect(judgeWaived({ rows: [filter(false), works] }, { seccomp: everyRow }, ['seccomp']).verdict).toBe('not-applicable');
  });

  it('excuses nothing else', () => {
    expect(judgeWaived({ rows: [filter(false), rights(false), works] }, layers, ['seccomp'])).toEqual({
      verdict: 'broken',
      why: 'CapEff: expected empty, saw 1',
    });
    const unknown = attack('CapEff', { expected: 'empty', seen: 'nothing', ok: undefined });
    expect(judgeWaived({ rows: [filter(false), unknown, works] }, layers, ['seccomp']).verdict).toBe('inconclusive');
  });

  it('changes nothing where it is there', () => {
    expect(judgeWaived({ rows: [filter(true), rights(true), works] }, layers, ['seccomp'])).toEqual({ verdict: 'held' });
    expect(judgeWaived({ notApplicable: 'no kernel' }, layers, ['seccomp']).verdict).toBe('not-applicable');
  });
});
