/** Homes that are kept and put back, as steps. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';

import { readStandings } from './look.ts';
import { box, claimFaults, must, succeeded, type Step } from './step.ts';
import type { World } from './world.ts';

async function withNote(world: World): Promise<void> {
  await must(world, ['create', box]);
  await must(world, ['start', box]);
  await must(world, ['exec', box, '--', 'sh', '-c', 'echo first > ~/note']);
}

async function kept(world: World): Promise<string> {
  const { out } = await must(world, ['snapshot', 'take', box, '--json']);
  return String(JSON.parse(out).id);
}

async function noteIn(world: World): Promise<string> {
  await must(world, ['start', box]);
  return (await must(world, ['exec', box, '--', 'cat', '/home/agent/note'])).out.trim();
}

function filesOf({ paths }: World): readonly string[] {
  const id = readStandings(paths.state).find(({ name, state }) => name === box && state !== 'gone')?.id ?? '';
  try {
    return readdirSync(join(paths.state, 'sandboxes', id, 'snapshots')).toSorted();
  } catch {
    return [];
  }
}

let snapshot = '';

export const snapshotSteps: readonly Step[] = [
  {
    name: 'snapshot-take',
    role: 'daemon',
    prepare: withNote,
    act: async (world) => [await world.run(['snapshot', 'take', box])],
    async check(world, { lines, outcomes }) {
      const isReported = succeeded(outcomes[0]);
      const files = filesOf(world);
      const isWhole = files.length === 2 && files.every((name) => /^sn-[0-9a-f]{16}\.(?:ext4|json)$/.test(name));
      const note = await noteIn(world);
      return [
        ...claimFaults(lines, [{ action: 'home.snapshot', subject: box, isReported }]),
        ...(isWhole || (!isReported && files.length === 0) ? [] : [`of the snapshot there is: ${files.join(' ') || 'nothing'}`]),
        ...(note === 'first' ? [] : [`the home says ${JSON.stringify(note)}`]),
      ];
    },
  },
  {
    name: 'snapshot-restore',
    role: 'daemon',
    async prepare(world) {
      await withNote(world);
      snapshot = await kept(world);
      await must(world, ['start', box]);
      await must(world, ['exec', box, '--', 'sh', '-c', 'echo second > ~/note']);
      await must(world, ['stop', box]);
    },
    act: async (world) => [await world.run(['snapshot', 'restore', box, snapshot, '--confirm', box])],
    async check(world, { lines, outcomes }) {
      const isReported = succeeded(outcomes[0]);
      const note = await noteIn(world);
      return [
        ...claimFaults(lines, [{ action: 'home.restore', subject: box, isReported }]),
        ...(note === 'first' || (note === 'second' && !isReported) ? [] : [`the home says ${JSON.stringify(note)}`]),
      ];
    },
  },
];
