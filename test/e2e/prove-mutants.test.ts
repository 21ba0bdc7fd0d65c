/** That probes can fail: a guard of each layer is taken out of a copy of the program, and its probes must say so. All of them: `npm run prove:mutants`. */
import { mkdtemp, mkdir, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { wholeWayLacks } from '../helpers/cli.ts';
import { engineOrSkip } from '../helpers/require-engine.ts';
import { mutants } from '../mutants/all.ts';
import { buildMutant, mutantFolder } from '../mutants/build-mutant.ts';
import { judgeBaseline, judgeMutant } from '../mutants/judge-mutant.ts';
import type { Mutant } from '../mutants/mutant.ts';
import { proveBuild, type Proved } from '../mutants/prove-build.ts';

/** Of the kernel, the engine, the gateway and the journal; two at a time, because much of it is waiting. */
const lanes = [
  ['seccomp-off', 'host-network', undefined],
  ['journal-unsigned', 'suffix-match'],
] as const;
const named = lanes.flat().filter((name) => name !== undefined);
const chosen = mutants.filter(({ name }) => named.some((one) => one === name));
const usable = chosen.filter(({ needs }) => needs !== 'root' || process.geteuid?.() === 0);
const probeIds = [...new Set(usable.flatMap(({ caughtBy }) => caughtBy))];

describe.skipIf(!engineOrSkip('oci', await wholeWayLacks()))('of a program with one guard off', () => {
  let folder: string;
  let proved: ReadonlyMap<string, Proved>;

  beforeAll(async () => {
    await mkdir(dirname(mutantFolder), { recursive: true });
    folder = await mkdtemp(`${mutantFolder}-test-`);
    const results = await Promise.all(lanes.map(proveLane));
    proved = new Map(results.flat());
  }, 600_000);
  afterAll(async () => {
    await rm(folder, { recursive: true, force: true });
  });

  async function proveLane(names: readonly (string | undefined)[]): Promise<readonly (readonly [string, Proved])[]> {
    const results: (readonly [string, Proved])[] = [];
    for (const name of names) {
      const mutant = usable.find((one) => one.name === name);
      if (mutant !== undefined || name === undefined) {
        results.push([name ?? 'none', await proveOne(mutant)]);
      }
    }
    return results;
  }

  async function proveOne(mutant: Mutant | undefined): Promise<Proved> {
    const entry = await buildMutant(mutant, join(folder, mutant?.name ?? 'none'));
    return await proveBuild({ entry, probes: mutant?.caughtBy ?? probeIds });
  }

  const proofOf = (name: string): Proved => proved.get(name) ?? { fault: 'it was not proved', ms: 0 };

  test('the program as it is holds', () => {
    const whole = proofOf('none');
    expect('fault' in whole ? whole.fault : judgeBaseline(whole.proof.findings, probeIds).faults).toEqual([]);
  });

  test.each(usable)('$name is seen by each probe that it names', (mutant) => {
    expect(judgeMutant(mutant, proofOf(mutant.name))).toMatchObject({ outcome: 'caught' });
  });
});
