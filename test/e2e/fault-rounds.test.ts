/** A few rounds of the fault suite, so that neither it nor what it holds true can rot; `npm run faults` plays all of them. */
import { describe, expect, it } from 'vitest';

import { campaign } from '../faults/campaign.ts';
import type { RoundReport } from '../faults/round.ts';
import { steps } from '../faults/steps.ts';
import { wholeWayLacks } from '../helpers/cli.ts';
import { ociLacks } from '../helpers/oci-lab.ts';
import { engineOrSkip } from '../helpers/require-engine.ts';

interface Rounds {
  readonly chosen: readonly string[];
  readonly rounds: number;
  readonly runtime: 'runc' | 'runsc';
}

/** Answers what was found wrong, after some rounds of which most were hit. */
async function play({ chosen, rounds, runtime }: Rounds): Promise<readonly RoundReport[]> {
  const reports: RoundReport[] = [];
  await campaign({
    steps: steps.filter(({ name }) => chosen.includes(name)),
    kinds: ['kill', 'fail', 'later'],
    seed: 4,
    rounds,
    world: { runtime },
    onRound: (report) => void reports.push(report),
  });
  // One of each step without a fault, from which its points are known, then those with one; what passed its point by has a second.
  expect(reports.filter(({ point }) => point.kind !== 'none').length).toBeGreaterThanOrEqual(rounds);
  expect(reports.filter(({ hits }) => hits.length > 0).length).toBeGreaterThan(rounds / 2);
  return reports.filter(({ faults }) => faults.length > 0);
}

describe.skipIf(!engineOrSkip('oci', await wholeWayLacks()))('rounds of the fault suite', () => {
  it('leave nothing unowned, lose no record, and the next command works', { timeout: 600_000 }, async () => {
    expect(await play({ chosen: ['start', 'exec', 'run', 'destroy'], rounds: 12, runtime: 'runc' })).toEqual([]);
  });
});

describe.skipIf(!engineOrSkip('runsc', await ociLacks('runsc')))('rounds of the fault suite on gVisor', () => {
  it('leave nothing unowned either', { timeout: 600_000 }, async () => {
    expect(await play({ chosen: ['run', 'exec'], rounds: 4, runtime: 'runsc' })).toEqual([]);
  });
});
