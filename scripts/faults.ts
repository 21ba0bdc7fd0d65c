import { appendFileSync, mkdirSync } from 'node:fs';
import { parseArgs } from 'node:util';

import { campaign, kinds, type CampaignOptions } from '../test/faults/campaign.ts';
import { ordinaryUser } from '../test/faults/ordinary-user.ts';
import type { Point, RoundReport } from '../test/faults/round.ts';
import type { Step } from '../test/faults/step.ts';
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
    user: { type: 'string' },
    runtime: { type: 'string' },
    record: { type: 'string' },
    keep: { type: 'boolean' },
    help: { type: 'boolean', short: 'h' },
  },
});
const runtimes = ['runc', 'runsc'] as const;
process.exitCode = await main();

async function main(): Promise<number> {
  const chosen = steps.filter(({ name }) => values.only?.includes(name) ?? true);
  const unknown = (values.only ?? []).filter((name) => !steps.some((step) => step.name === name));
  const runtime = runtimes.find((name) => name === (values.runtime ?? 'runc'));
  if (values.help === true || unknown.length > 0 || runtime === undefined) {
    say(`npm run faults -- [--only STEP]... [--kind ${kinds.join('|')}]... [--rounds N] [--seed S] [--user NAME]`);
    say(`  [--runtime ${runtimes.join('|')}] [--under FOLDER] [--record FILE] [--keep]`);
    say(`steps: ${steps.map(({ name }) => name).join(', ')}`);
    return values.help === true ? 0 : 2;
  }
  if (values.under !== undefined) {
    mkdirSync(values.under, { recursive: true });
  }
  const user = values.user === undefined ? undefined : ordinaryUser(values.user);
  const reports = await play(chosen, { under: values.under, user, runtime });
  summaryOf(reports).forEach(say);
  const failed = reports.filter(isBad).length;
  say(`${reports.length - failed} passed, ${failed} failed`);
  return failed === 0 ? 0 : 1;
}

async function play(chosen: readonly Step[], world: CampaignOptions['world']): Promise<readonly RoundReport[]> {
  const seed = Number(values.seed ?? Date.now() % 1_000_000);
  say(`seed ${seed}`);
  const stop = new AbortController();
  process.once('SIGINT', () => stop.abort());
  process.once('SIGTERM', () => stop.abort());
  const reports: RoundReport[] = [];
  await campaign({
    steps: chosen,
    kinds: kinds.filter((kind) => values.kind?.includes(kind) ?? true),
    seed,
    rounds: values.rounds === undefined ? undefined : Number(values.rounds),
    world,
    onRound(report) {
      reports.push(report);
      tell(report);
      if (values.record !== undefined) {
        appendFileSync(values.record, `${JSON.stringify({ seed, ...report })}\n`);
      }
    },
    keep: values.keep,
    signal: stop.signal,
  });
  return reports;
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
