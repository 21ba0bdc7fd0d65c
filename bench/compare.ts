/** Our time beside that of others, in the same rounds. */
import { timeInRounds, whyNot, type Contender } from './measure.ts';
import { blocked, type BenchResult } from './result.ts';

const rounds = 15;

/** Times what can run in the same rounds; the rest says why not. Each of the others is shown as our time divided by its time. */
export async function compare(
  ours: Contender,
  others: readonly Contender[],
  aims: Readonly<Record<string, string>>,
): Promise<readonly BenchResult[]> {
  const reasons = new Map<string, string | undefined>();
  for (const contender of [ours, ...others]) {
    reasons.set(contender.name, await whyNot(contender));
  }
  const able = [ours, ...others].filter(({ name }) => reasons.get(name) === undefined);
  const samples = await timeInRounds(able, rounds);
  const rows = [ours, ...others].map(({ name }): BenchResult => {
    const reason = reasons.get(name);
    return reason === undefined ? { name, unit: 'ms', samples: samples.get(name) ?? [] } : blocked(name, 'ms', reason);
  });
  const mine = samples.get(ours.name);
  const ratios = others
    .filter(({ name }) => mine !== undefined && reasons.get(name) === undefined)
    .map(({ name }): BenchResult => {
      const theirs = samples.get(name) ?? [];
      const ratio = (mine ?? []).map((value, round) => value / (theirs[round] ?? Number.NaN));
      return {
        name: `${name}, casemate's share`,
        unit: 'x',
        samples: ratio,
        aim: aims[name],
        note: 'casemate divided by it, same round',
      };
    });
  return [...rows, ...ratios];
}
