/** How long `casemate --help` takes over a script that does nothing, on the built program. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { timeInRounds, whyNot } from './measure.ts';
import { blocked, type BenchResult } from './result.ts';

const program = join(import.meta.dirname, '..', 'dist', 'casemate.js');

export async function benchCli(): Promise<readonly BenchResult[]> {
  const folder = await mkdtemp(join(tmpdir(), 'casemate-bench-'));
  try {
    const empty = join(folder, 'empty.mjs');
    await writeFile(empty, '');
    const contenders = [
      { name: 'cli/empty script', file: process.execPath, args: [empty] },
      { name: 'cli/casemate --help', file: process.execPath, args: [program, '--help'] },
      { name: 'cli/casemate --version', file: process.execPath, args: [program, '--version'] },
    ];
    const reason = await whyNot({ name: 'help', file: process.execPath, args: [program, '--help'] });
    if (reason !== undefined) {
      return [blocked('cli/casemate --help', 'ms', reason)];
    }
    const samples = await timeInRounds(contenders, 25);
    return [
      ...contenders.map(({ name }) => ({ name, unit: 'ms', samples: samples.get(name) ?? [] })),
      ...['cli/casemate --help', 'cli/casemate --version'].map((name) => over(samples, name)),
    ];
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Difference to the empty script of the same round. */
function over(samples: ReadonlyMap<string, readonly number[]>, name: string): BenchResult {
  const empty = samples.get('cli/empty script') ?? [];
  const differences = (samples.get(name) ?? []).map((value, round) => value - (empty[round] ?? 0));
  return { name: `${name} over empty`, unit: 'ms', samples: differences, aim: '< 15 ms', note: 'difference in the same round' };
}
