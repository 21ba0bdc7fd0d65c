/** A few rounds of the fault suite, so that neither it nor what it holds true can rot; `npm run faults` plays all of them. */
import { describe, expect, it } from 'vitest';

import { campaign } from '../faults/campaign.ts';
import type { RoundReport } from '../faults/round.ts';
import { steps } from '../faults/steps.ts';
import { wholeWayLacks } from '../helpers/cli.ts';
import { engineOrSkip } from '../helpers/require-engine.ts';

const chosen = ['start', 'exec', 'run', 'destroy'];
const rounds = 12;

describe.skipIf(!engineOrSkip('oci', await wholeWayLacks()))('rounds of the fault suite', () => {
  it('leave nothing unowned, lose no record, and the next command works', { timeout: 600_000 }, async () => {
    const reports: RoundReport[] = [];
    await campaign({
      steps: steps.filter(({ name }) => chosen.includes(name)),
      kinds: ['kill', 'fail', 'later'],
      seed: 4,
      rounds,
      onRound: (report) => void reports.push(report),
    });
    expect(reports.filter(({ faults }) => faults.length > 0)).toEqual([]);
    // One of each step without a fault, from which its points are known, then those with one.
    expect(reports.map(({ point }) => point.kind !== 'none').filter(Boolean)).toHaveLength(rounds);
    expect(reports.filter(({ hits }) => hits.length > 0).length).toBeGreaterThan(rounds / 2);
  });
});
