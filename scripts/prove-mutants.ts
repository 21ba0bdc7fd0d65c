import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { buildMutant, mutantFolder } from '../test/mutants/build-mutant.ts';
import { mutants } from '../test/mutants/all.ts';
import type { Mutant, Need } from '../test/mutants/mutant.ts';
import { judgeBaseline, judgeMutant, type MutantResult } from '../test/mutants/judge-mutant.ts';
import { proveBuild, type Proved } from '../test/mutants/prove-build.ts';
import { engineChoices } from './engines/verdicts.ts';
import { onPath } from '../test/mutants/on-path.ts';

/**
 * Turns off one guard of the product at a time and shows which probes see it:
 * `npm run prove:mutants -- [--only NAME,...] [--wide] [--runtime NAME] [--waive LAYER]... [--json]`.
 * Status 1: a mutant was caught by no probe, or not by each that it names.
 */
const { values } = parseArgs({
  options: {
    only: { type: 'string' },
    wide: { type: 'boolean' },
    runtime: { type: 'string' },
    waive: { type: 'string', multiple: true },
    json: { type: 'boolean' },
    keep: { type: 'boolean' },
    list: { type: 'boolean' },
    help: { type: 'boolean', short: 'h' },
  },
});
const resultsFolder = join(mutantFolder, 'results');
const words = { caught: 'caught', missed: 'NOT CAUGHT', skipped: 'skipped' } as const;
process.exitCode = await main();

async function main(): Promise<number> {
  const wanted = values.only?.split(',').map((name) => name.trim());
  const unknown = wanted?.filter((name) => !mutants.some((mutant) => mutant.name === name)) ?? [];
  if (values.help === true || values.list === true || unknown.length > 0) {
    say(unknown.length > 0 ? `there is no mutant ${unknown.join(', ')}` : usage());
    return unknown.length > 0 ? 2 : 0;
  }
  const chosen = mutants.filter(({ name }) => wanted === undefined || wanted.includes(name));
  const results: MutantResult[] = [];
  for (const some of Map.groupBy(chosen, ({ runtime, through, engine }) => `${runtime} ${through} ${engine}`).values()) {
    results.push(...(await tryGroup(some)));
  }
  return finish(results);
}

/** How a build is proved: the product itself must hold in the same way. */
type Way = Pick<Mutant, 'runtime' | 'through' | 'engine'>;

/** Those that are proved in one way. */
async function tryGroup(some: readonly Mutant[]): Promise<readonly MutantResult[]> {
  const { runtime, through, engine }: Way = some[0] ?? {};
  const missing = [engine, runtime].find((name) => name !== undefined && !onPath(name));
  if (missing !== undefined) {
    return some.map((mutant) => skipped(mutant, `${missing} is not installed`));
  }
  const { faults, absent } = await baseline(some, { runtime, through, engine });
  if (faults.some((fault) => fault.includes('cannot talk to the engine'))) {
    return some.map((mutant) => skipped(mutant, `${engine ?? 'the engine'} does not answer`));
  }
  if (faults.length > 0) {
    say(`the product itself does not hold, so no mutant can be told from it:\n  ${faults.join('\n  ')}`);
    return some.map((mutant) => ({ ...skipped(mutant, 'the product itself does not hold'), outcome: 'missed' }));
  }
  const results: MutantResult[] = [];
  for (const mutant of some) {
    const result = await tryMutant(mutant, absent);
    results.push(result);
    if (values.json !== true) {
      say(line(result));
    }
  }
  return results;
}

function skipped({ name, weakens }: Mutant, why: string): MutantResult {
  return { name, weakens, outcome: 'skipped', by: [], why, ms: 0 };
}

function usage(): string {
  const rows = mutants.map(({ name, weakens }) => `  ${name.padEnd(34)} ${weakens}`);
  return `npm run prove:mutants -- [--only NAME,...] [--wide] [--runtime NAME] [--waive LAYER]... [--json] [--keep]\n${rows.join('\n')}`;
}

/** The product as it is, asked with the very probes that the mutants name. */
async function baseline(chosen: readonly Mutant[], way: Way) {
  const ids = [...new Set(chosen.flatMap(({ caughtBy }) => caughtBy))];
  const proved = await prove(undefined, ids, way);
  keep('none', proved);
  return 'fault' in proved
    ? { faults: [proved.fault], absent: new Map<string, string>() }
    : judgeBaseline(proved.proof.findings, ids);
}

async function tryMutant(mutant: Mutant, absent: ReadonlyMap<string, string>): Promise<MutantResult> {
  const { name, caughtBy } = mutant;
  const here = caughtBy.filter((id) => !absent.has(id));
  const why = lacking(mutant.needs) ?? (here.length === 0 ? absent.get(caughtBy[0] ?? '') : undefined);
  if (why !== undefined) {
    return skipped(mutant, why);
  }
  const proved = await prove(mutant, values.wide === true ? [] : here, mutant);
  keep(name, proved);
  return judgeMutant({ ...mutant, caughtBy: here }, proved);
}

function lacking(need: Need | undefined): string | undefined {
  if (need === 'root' || need === 'user') {
    return (process.geteuid?.() === 0) === (need === 'root')
      ? undefined
      : `it needs to be run as ${need === 'root' ? 'root' : 'an ordinary user'}`;
  }
  if (need === 'cgroup-v1') {
    const file = '/sys/fs/cgroup/memory/memory.kmem.tcp.limit_in_bytes';
    return existsSync(file) ? undefined : 'this host has no cgroup v1 for memory';
  }
  if (need === 'priorities') {
    return mayRaisePriorities() ? undefined : 'the caller may not raise priorities either';
  }
  return need === undefined || onPath(need) ? undefined : `${need} is not installed`;
}

/** The hard bound of `RLIMIT_NICE` (getrlimit(2)): nobody hands on more than there is. */
function mayRaisePriorities(): boolean {
  const limits = readFileSync('/proc/self/limits', 'utf8');
  return !/^Max nice priority\s+\S+\s+0\s/m.test(limits);
}

async function prove(mutant: Mutant | undefined, probes: readonly string[], way: Way): Promise<Proved> {
  const entry = await buildMutant(mutant);
  const runtime = way.runtime ?? values.runtime;
  const options = [
    ...(runtime === undefined ? [] : ['--runtime', runtime]),
    ...(way.engine === undefined ? [] : engineChoices[way.engine]),
    ...(values.waive ?? []).flatMap((layer) => ['--waive', layer]),
  ];
  const proved = await proveBuild({ entry, probes, options, through: way.through });
  if (values.keep !== true) {
    rmSync(join(mutantFolder, mutant?.name ?? 'none'), { recursive: true, force: true });
  }
  return proved;
}

/** What was seen, row by row, for whoever wants to know why. */
function keep(name: string, proved: Proved): void {
  mkdirSync(resultsFolder, { recursive: true });
  writeFileSync(join(resultsFolder, `${name}.json`), `${JSON.stringify(proved, undefined, 2)}\n`);
}

function line({ name, outcome, by, why, ms }: MutantResult): string {
  const what = outcome === 'caught' ? by.join(' ') : [...by, `(${why ?? ''})`].join(' ');
  return `${words[outcome].padEnd(11)} ${name.padEnd(34)} ${`${(ms / 1000).toFixed(1)}s`.padStart(6)}  ${what}`;
}

function finish(results: readonly MutantResult[]): number {
  const count = (wanted: MutantResult['outcome']): number => results.filter(({ outcome }) => outcome === wanted).length;
  if (values.json === true) {
    say(JSON.stringify(results, undefined, 2));
  } else {
    say(
      `\n${count('caught')} caught, ${count('missed')} not caught, ${count('skipped')} skipped; what was seen: ${resultsFolder}`,
    );
  }
  return count('missed') === 0 && count('caught') > 0 ? 0 : 1;
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}
