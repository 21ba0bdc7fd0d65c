import { mkdirSync } from 'node:fs';
import { parseArgs } from 'node:util';

import { campaign } from '../test/faults/campaign.ts';
import type { FaultAct } from '../test/faults/fault-plan.ts';
import type { RoundReport } from '../test/faults/round.ts';
import { steps } from '../test/faults/steps.ts';

/** Lets processes of the real program fail at every point of every step: see "Faults" in CONTRIBUTING.md. */
const allActs: readonly FaultAct[] = ['kill', 'tear', 'fail'];
const { values } = parseArgs({
  options: {
    rounds: { type: 'string' },
    seed: { type: 'string' },
    only: { type: 'string', multiple: true },
    act: { type: 'string', multiple: true },
    under: { type: 'string' },
    keep: { type: 'boolean' },
    help: { type: 'boolean', short: 'h' },
  },
});
process.exitCode = await main();

async function main(): Promise<number> {
  const chosen = values.only === undefined ? steps : steps.filter(({ name }) => values.only?.includes(name));
  const unknown = (values.only ?? []).filter((name) => !steps.some((step) => step.name === name));
  if (values.help === true || unknown.length > 0) {
    say('npm run faults -- [--only STEP]... [--act kill|tear|fail]... [--rounds N] [--seed S] [--under FOLDER] [--keep]');
    say(`steps: ${steps.map(({ name }) => name).join(', ')}`);
    return unknown.length > 0 ? 2 : 0;
  }
  const seed = Number(values.seed ?? Date.now() % 1_000_000);
  if (values.under !== undefined) {
    mkdirSync(values.under, { recursive: true });
  }
  say(`seed ${seed}`);
  const counts = { passed: 0, failed: 0 };
  const onRound = (report: RoundReport): void => {
    counts[report.faults.length === 0 ? 'passed' : 'failed'] += 1;
    tell(report);
  };
  const stop = new AbortController();
  process.once('SIGINT', () => stop.abort());
  process.once('SIGTERM', () => stop.abort());
  const acts = values.act === undefined ? allActs : allActs.filter((act) => values.act?.includes(act));
  const rounds = values.rounds === undefined ? undefined : Number(values.rounds);
  await campaign({ steps: chosen, acts, seed, rounds, onRound, under: values.under, keep: values.keep, signal: stop.signal });
  say(`${counts.passed} passed, ${counts.failed} failed`);
  return counts.failed === 0 ? 0 : 1;
}

function tell({ step, point, hits, faults, ms }: RoundReport): void {
  const { at, act, withCaller } = point;
  const where = at === Number.MAX_SAFE_INTEGER ? 'no fault' : `${act} at ${at}${withCaller === true ? ' with the caller' : ''}`;
  say(`${faults.length === 0 ? 'ok  ' : 'FAIL'} ${step}  ${where}  ${hits.at(-1) ?? '-'}  ${ms} ms`);
  faults.forEach((fault) => say(`       ${fault}`));
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
