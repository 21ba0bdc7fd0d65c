import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { createCoverage } from '../test/fuzz/coverage.ts';
import { fuzz, runOnce, type Find, type FuzzTarget } from '../test/fuzz/fuzz.ts';
import { targets } from '../test/fuzz/targets.ts';

/**
 * Fuzzes the parsers, guided by coverage: `npm run fuzz -- [TARGET...] [--seconds N | --runs N] [--seed S] [--input FILE]`.
 * What reached something new is kept in test/fuzz/corpus (base64, a line each), what broke a promise in test/fuzz/finds.
 */
const folders = { corpus: 'test/fuzz/corpus', finds: 'test/fuzz/finds' } as const;
/** inputs kept for a target: enough ground, and a small repository */
const keptInputs = 64;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seconds: { type: 'string' },
    runs: { type: 'string' },
    seed: { type: 'string' },
    input: { type: 'string' },
    help: { type: 'boolean', short: 'h' },
  },
});
process.exitCode = main();

function main(): number {
  const chosen = positionals.length === 0 ? targets : targets.filter(({ name }) => positionals.includes(name));
  const unknown = positionals.filter((name) => !targets.some((target) => target.name === name));
  if (values.help === true || unknown.length > 0) {
    const known = targets.map(({ name }) => name).join(', ');
    say(`npm run fuzz -- [TARGET...] [--seconds N | --runs N] [--seed S] [--input FILE]\ntargets: ${known}`);
    return unknown.length > 0 ? 2 : 0;
  }
  return chosen.map((target) => (values.input === undefined ? search(target) : repeat(target, values.input))).every(Boolean)
    ? 0
    : 1;
}

/** True: no promise was broken. */
function search(target: FuzzTarget): boolean {
  const seed = Number(values.seed ?? Date.now() % 1_000_000);
  const corpus = readCorpus(target);
  const coverage = createCoverage();
  const started = performance.now();
  const { runs, fresh, blocks, find } = fuzz(target, {
    seed,
    runs: Number(values.runs ?? Number.POSITIVE_INFINITY),
    seconds: Number(values.seconds ?? (values.runs === undefined ? 10 : Number.POSITIVE_INFINITY)),
    coverage,
    corpus,
  });
  coverage.close();
  const kept = fresh.slice(0, Math.max(0, keptInputs - corpus.length));
  if (kept.length > 0) {
    writeCorpus(target, [...corpus, ...kept]);
  }
  const seconds = Math.max(0.001, (performance.now() - started) / 1000);
  const rate = Math.round(runs / seconds);
  say(
    `${target.name.padEnd(12)} seed ${seed}  ${runs} runs (${rate}/s)  ${blocks} blocks  corpus ${corpus.length + kept.length} (+${kept.length})  finds ${find === undefined ? 0 : 1}`,
  );
  if (find !== undefined) {
    tell(target, find, writeFind(target, find));
  }
  return find === undefined;
}

function repeat(target: FuzzTarget, file: string): boolean {
  const find = runOnce(target, readFileSync(file));
  if (find === undefined) {
    say(`${target.name}: ${file} keeps all promises`);
    return true;
  }
  tell(target, find, file);
  return false;
}

function tell(target: FuzzTarget, { error }: Find, file: string): void {
  say(error instanceof Error ? (error.stack ?? error.message) : String(error));
  say(`once more: npm run fuzz -- ${target.name} --input ${file}`);
}

function corpusFile({ name }: FuzzTarget): string {
  return join(folders.corpus, `${name}.txt`);
}

function readCorpus(target: FuzzTarget): Buffer[] {
  const file = corpusFile(target);
  const lines = existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n') : [];
  return lines.map((line) => Buffer.from(line, 'base64'));
}

function writeCorpus(target: FuzzTarget, inputs: readonly Buffer[]): void {
  mkdirSync(folders.corpus, { recursive: true });
  writeFileSync(corpusFile(target), `${inputs.map((input) => input.toString('base64')).join('\n')}\n`);
}

function writeFind({ name }: FuzzTarget, { input }: Find): string {
  mkdirSync(folders.finds, { recursive: true });
  const file = join(folders.finds, `${name}-${createHash('sha256').update(input).digest('hex').slice(0, 12)}`);
  writeFileSync(file, input);
  return file;
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
