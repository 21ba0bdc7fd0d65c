/**
 * `npm run bench [-- NAME...]`: runs the measurements one after the other, prints medians, and writes the raw samples with a
 * description of the machine to `bench/results/`. What could not be measured says why in place of a number.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { version } from '../src/system/version.ts';
import { machine } from './machine.ts';
import { attempt } from './measure.ts';
import { blocked, median, type Bench, type BenchResult } from './result.ts';

const benches: Readonly<Record<string, () => Promise<Bench>>> = {
  cli: async () => (await import('./cli.ts')).benchCli,
  journal: async () => (await import('./journal.ts')).benchJournal,
  gateway: async () => (await import('./gateway.ts')).benchGateway,
  'gateway-scale': async () => (await import('./gateway-scale.ts')).benchGatewayScale,
  engine: async () => (await import('./engine.ts')).benchEngine,
  warm: async () => (await import('./warm.ts')).benchWarm,
  scale: async () => (await import('./scale.ts')).benchScale,
  exhaustion: async () => (await import('./exhaustion.ts')).benchExhaustion,
  system: async () => (await import('./system.ts')).benchSystem,
};

async function runcVersion(): Promise<string> {
  const runc = await attempt('runc', ['--version']);
  return runc?.stdout.toString('utf8').split('\n')[0] ?? 'not installed';
}

async function measure(name: string): Promise<readonly BenchResult[]> {
  process.stderr.write(`measuring ${name}\n`);
  try {
    const bench = await benches[name]?.();
    return bench === undefined
      ? [blocked(name, '', `there is no measurement of this name; known: ${Object.keys(benches).join(', ')}`)]
      : await bench();
  } catch (error) {
    return [blocked(name, '', error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error))];
  }
}

function line(result: BenchResult, all: readonly BenchResult[]): string {
  const { name, unit, samples, note, blocked: reason, aim, against, also = [] } = result;
  if (reason !== undefined) {
    return `  ${name.padEnd(46)} blocked: ${reason}`;
  }
  const value = median(samples);
  const over = (other: string): string => {
    const base = median(all.find((one) => one.name === other)?.samples ?? []);
    return base === undefined || value === undefined ? '' : `${figure(value / base)} x ${other}`;
  };
  const spread =
    samples.length > 1 ? `${figure(Math.min(...samples))} to ${figure(Math.max(...samples))}, ${samples.length} samples` : '';
  const first = [against === undefined ? '' : over(against), spread, aim === undefined ? '' : `aim ${aim}`];
  const more = also
    .map((one) => [over(one.against), `aim ${one.aim}`])
    .flatMap(([ratio = '', own = '']) => (ratio === '' ? [] : [ratio, own]));
  const rest = [...first, ...more, note ?? ''].filter((part) => part !== '').join('; ');
  return `  ${name.padEnd(46)} ${`${figure(value ?? Number.NaN)} ${unit}`.padStart(16)}  ${rest}`;
}

function figure(value: number): string {
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2;
  return Number.isNaN(value) ? '-' : value.toFixed(digits);
}

const chosen = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(benches);
const facts = { ...machine(), runc: await runcVersion(), casemate: version };
const results: BenchResult[] = [];
for (const name of chosen) {
  results.push(...(await measure(name)));
}
const folder = join(import.meta.dirname, 'results');
mkdirSync(folder, { recursive: true });
const time = new Date().toISOString();
const file = join(folder, `${time.replaceAll(':', '-')}.json`);
writeFileSync(file, `${JSON.stringify({ time, machine: facts, results }, undefined, 2)}\n`);
process.stdout.write(
  `${Object.entries(facts)
    .map(([key, value]) => `${key} ${value}`)
    .join(', ')}\n\n`,
);
process.stdout.write(`${results.map((result) => line(result, results)).join('\n')}\n\nraw samples: ${file}\n`);
process.exitCode = 0;
