import { appendFileSync, mkdirSync } from 'node:fs';
import { parseArgs } from 'node:util';

import { campaign, kinds } from '../test/faults/campaign.ts';
import type { Point, RoundReport } from '../test/faults/round.ts';
import { steps } from '../test/faults/steps.ts';
import { isBad, summaryOf } from '../test/faults/summary.ts';

/** Lets processes of the real program fail at every point of every step: see "Faults" in CONTRIBUTING.md. */
const { values } = parseArgs({
  options: {
    rounds: { type: 'string' },
    seed: { type: 'string' },
    only: { type: 'string', multiple: true },
    kind: { type: 'string', multiple: true },
    under: { type: 'string' },
    record: { type: 'string' },
    keep: { type: 'boolean' },
    help: { type: 'boolean', short: 'h' },
  },
});
process.exitCode = await main();

async function main(): Promise<number> {
  const chosen = values.only === undefined ? steps : steps.filter(({ name }) => values.only?.includes(name));
  const unknown = (values.only ?? []).filter((name) => !steps.some((step) => step.name === name));
  if (values.help === true || unknown.length > 0) {
    say(
      `npm run faults -- [--only STEP]... [--kind ${kinds.join('|')}]... [--rounds N] [--seed S] [--under FOLDER] [--record FILE] [--keep]`,
    );
    say(`steps: ${steps.map(({ name }) => name).join(', ')}`);
    return unknown.length > 0 ? 2 : 0;
  }
  const seed = Number(values.seed ?? Date.now() % 1_000_000);
  if (values.under !== undefined) {
    mkdirSync(values.under, { recursive: true });
  }
  say(`seed ${seed}`);
  const reports: RoundReport[] = [];
  const onRound = (report: RoundReport): void => {
    reports.push(report);
    tell(report);
    if (values.record !== undefined) {
      appendFileSync(values.record, `${JSON.stringify({ seed, ...report })}\n`);
    }
  };
  const stop = new AbortController();
  process.once('SIGINT', () => stop.abort());
  process.once('SIGTERM', () => stop.abort());
  const some = values.kind === undefined ? kinds : kinds.filter((kind) => values.kind?.includes(kind));
  const rounds = values.rounds === undefined ? undefined : Number(values.rounds);
  await campaign({
    steps: chosen,
    kinds: some,
    seed,
    rounds,
    onRound,
    under: values.under,
    keep: values.keep,
    signal: stop.signal,
  });
  summaryOf(reports).forEach(say);
  const failed = reports.filter(isBad).length;
  say(`${reports.length - failed} passed, ${failed} failed`);
  return failed === 0 ? 0 : 1;
}

function tell({ step, point, hits, faults, ms }: RoundReport): void {
  say(`${faults.length === 0 ? 'ok  ' : 'FAIL'} ${step}  ${placeOf(point)}  ${hits.at(-1) ?? '-'}  ${ms} ms`);
  faults.forEach((fault) => say(`       ${fault}`));
}

function placeOf(point: Point): string {
  switch (point.kind) {
    case 'none':
      return 'no fault';
    case 'point':
      return `${point.act} at ${point.at}${point.withCaller === true ? ' with the caller' : ''}`;
    case 'child':
      return `${point.fault.program}${point.fault.call} at ${point.fault.at ?? 'no call'}`;
    case 'later':
      return `${point.victim} after ${point.afterMs} ms`;
  }
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
