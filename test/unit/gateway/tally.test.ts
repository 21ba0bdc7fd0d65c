import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { createTally } from '../../../src/gateway/tally.ts';
import type { JournalEntry } from '../../../src/journal/record.ts';

const entry = (subject: string): JournalEntry => ({
  actor: 'sandbox',
  action: 'net.exchange',
  subject,
  decision: 'deny',
  outcome: 'host-not-allowed',
});

describe('denials that are counted', () => {
  it('are all stated, however many kinds there are and however often they are summed up', () => {
    const waves = fc.array(fc.array(fc.integer({ min: 0, max: 40 }), { maxLength: 60 }), { maxLength: 12 });
    fc.assert(
      fc.property(waves, (rounds) => {
        let stated = 0;
        const tally = createTally(({ detail }) => (stated += Number(detail?.['repeated'])), 8);
        for (const round of rounds) {
          round.forEach((name) => tally.count(entry(`host${name}:443`)));
          tally.write();
        }
        expect(stated).toBe(rounds.flat().length);
      }),
    );
  });

  it('of more kinds than are kept apart are stated together, in every second anew', () => {
    const stated: JournalEntry[] = [];
    const tally = createTally((one) => stated.push(one), 4);
    for (let second = 0; second < 3; second += 1) {
      for (let host = 0; host < 10; host += 1) {
        tally.count(entry(`${second}-${host}:443`));
      }
      tally.write();
    }
    expect(stated.map(({ subject, detail }) => [subject, detail?.['repeated']])).toEqual(
      [0, 1, 2].flatMap((second) => [...[0, 1, 2, 3].map((host) => [`${second}-${host}:443`, 1]), ['several', 6]]),
    );
  });
});
