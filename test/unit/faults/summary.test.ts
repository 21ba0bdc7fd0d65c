import { expect, test } from 'vitest';

import { summaryOf } from '../../faults/summary.ts';

test('a summary has a row for each step, its kinds of fault, what was hit and what was wrong', () => {
  const kill = { kind: 'point', at: 3, act: 'kill' } as const;
  const rows = summaryOf([
    { step: 'create', point: { kind: 'none' }, hits: [], faults: [] },
    { step: 'create', point: kill, hits: ['daemon 3 kill say'], faults: [] },
    { step: 'stop', point: { ...kill, withCaller: true }, hits: [], faults: ['a mount is left'] },
    { step: 'stop', point: { kind: 'later', victim: 'daemon', afterMs: 5 }, hits: ['daemon'], faults: [] },
  ]);
  expect(rows.map((row) => row.split(/ {2,}/))).toEqual([
    ['step', 'none', 'kill', 'kill both', 'tear', 'fail', 'child', 'later', 'hit', 'wrong'],
    ['create', '1', '1', '0', '0', '0', '0', '0', '1', '0'],
    ['stop', '0', '0', '1', '0', '0', '0', '1', '1', '1'],
    ['all', '1', '1', '1', '0', '0', '0', '1', '2', '1'],
  ]);
});
