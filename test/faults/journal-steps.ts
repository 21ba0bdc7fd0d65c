/** The journal, as a step: a file of it is full, and the next one is begun. */
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';

import { openJournal } from '../../src/journal/open-journal.ts';
import { box, claimFaults, must, succeeded, type Step } from './step.ts';
import type { World } from './world.ts';

/** of a file of the journal */
const fullBytes = 32 * 1024 * 1024;
/** Room for the records of a daemon's beginning, and not for that of a sandbox. */
const roomBytes = 900;
/** What is written when it is closed. */
const checkpointBytes = 400;
/** What one record can hold at most, so that few are enough. */
const wide = Object.fromEntries(Array.from({ length: 24 }, (_, index) => [`d${index}`, 'x'.repeat(2000)]));

const folderOf = (world: World): string => join(world.paths.state, 'journal');
const firstOf = (world: World): string => join(folderOf(world), 'journal-000001.jsonl');

/** With records of the journal's own making, while no daemon runs. */
async function fill(world: World): Promise<void> {
  const witnessPath = join(world.paths.config, 'witness.json');
  // Only a kill of the whole machine would need it on the disk.
  const journal = await openJournal({ folder: folderOf(world), witnessPath, sync: async () => undefined });
  const append = async (detail: Readonly<Record<string, string>>): Promise<void> =>
    void (await journal.append({ actor: 'test', action: 'test.fill', subject: 'x', decision: 'none', outcome: 'ok', detail }));
  const size = (): number => statSync(firstOf(world)).size;
  const left = (): number => fullBytes - roomBytes - checkpointBytes - size();
  while (left() > 60_000) {
    await append(wide);
  }
  let lineBytes = 0;
  while (left() > 2000) {
    const before = size();
    await append({ rest: 'x'.repeat(1000) });
    lineBytes = size() - before - 1000;
  }
  await append({ rest: 'x'.repeat(Math.max(1, left() - lineBytes)) });
  await journal.close();
}

async function forget(world: World): Promise<void> {
  await must(world, ['daemon', 'stop', '--force']);
  await world.forgetState();
}

export const journalSteps: readonly Step[] = [
  {
    name: 'journal-next-file',
    role: 'daemon',
    fromStart: true,
    forgets: true,
    near: /journal-000002\.jsonl/,
    async prepare(world) {
      await forget(world);
      await must(world, ['ls']);
      await must(world, ['daemon', 'stop', '--force']);
      await fill(world);
    },
    act: async (world) => [await world.run(['create', box])],
    check: (world, { outcomes, lines }) => {
      const isReported = succeeded(outcomes[0]);
      const files = readdirSync(folderOf(world)).filter((name) => name.endsWith('.jsonl'));
      return [
        ...claimFaults(lines, [{ action: 'sandbox.create', subject: box, isReported }]),
        ...(files.length === 2 || (files.length === 1 && !isReported) ? [] : [`the journal has ${files.join(' ')}`]),
        ...(statSync(firstOf(world)).size <= fullBytes ? [] : ['a file of the journal is larger than it may be']),
      ];
    },
    after: forget,
  },
];
