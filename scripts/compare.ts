/**
 * Puts the same probes to several sandboxes of this machine, ours among them, in one run and through the same door,
 * `casemate prove --command`, and writes `docs/comparison.json` and the page that is made from it:
 * `npm run compare -- [--only NAME,...] [--out FILE]`. Status 1: one of them could not be measured.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';

import { commandTemplate } from '../src/proof/foreign/command-template.ts';
import { proveForeign } from '../src/proof/foreign/prove-foreign.ts';
import { chooseProbes } from '../src/proof/probes.ts';
import { startWatch } from '../src/proof/watch/start-watch.ts';
import type { Watch } from '../src/proof/watch/watch.ts';
import { version } from '../src/system/version.ts';
import { machine } from '../bench/machine.ts';
import { controlsOf, type Comparison, type Measured } from './compare/comparison.ts';
import { contenders, type Contender } from './compare/contenders.ts';
import { hidePaths } from './compare/hide-paths.ts';
import { openStage, type Stage } from './compare/stage.ts';
import { writeDocs } from './docs.ts';

const { values } = parseArgs({ options: { only: { type: 'string' }, out: { type: 'string' } } });
const startLimitMs = 120_000;

async function measure(contender: Contender, stage: Stage): Promise<Measured> {
  const { name, needs, words } = contender;
  const user = contender.as === 'root' && stage.user !== undefined ? 'root' : 'an ordinary user';
  const base = { name, version: 'none', command: words.join(' '), user, findings: [] } as const;
  try {
    const ready = await stage.prepare(needs);
    return { ...base, version: ready.version, findings: await attack(contender, ready.places, stage) };
  } catch (error) {
    return { ...base, missing: error instanceof Error ? error.message : String(error) };
  }
}

async function attack(contender: Contender, places: Readonly<Record<string, readonly string[]>>, stage: Stage) {
  const as = contender.as === 'user' ? stage.user : undefined;
  const watch = await startWatch({ folder: as?.home, as });
  try {
    const { findings } = await proveForeign({
      template: commandTemplate(contender.words.flatMap((word) => filled(word, places))),
      watch,
      env: environment(stage, watch),
      as,
      timeoutMs: startLimitMs,
      uid: process.getuid?.() ?? 0,
      probes: chooseProbes({ profile: 'full', foreign: true }),
    });
    if (findings.every(({ verdict }) => verdict === 'inconclusive')) {
      throw new Error(findings[0]?.why ?? 'nothing was decided');
    }
    return hidePaths(findings, watch, stage);
  } finally {
    await watch.close();
  }
}

/** The home with the canaries is that of whoever starts a sandbox; Casemate and Docker have theirs besides. */
function environment({ env }: Stage, { folders }: Watch): Readonly<Record<string, string>> {
  return { ...env, HOME: folders.home };
}

/** A place is a word of its own, or what a word begins with. */
function filled(word: string, places: Readonly<Record<string, readonly string[]>>): readonly string[] {
  const [place = '', rest] = /^([A-Z]+)(.*)$/.exec(word)?.slice(1) ?? [];
  const found = places[place];
  return found === undefined ? [word] : [...found.slice(0, -1), `${found.at(-1) ?? ''}${rest ?? ''}`];
}

/** Indented, each row of a finding on a line. */
function rowByRow(value: Comparison): string {
  return JSON.stringify(value, undefined, 1).replaceAll(/\n(?: {7}| {6}(?=\}))/g, ' ');
}

const only = values.only?.split(',').map((name) => name.trim());
const unknown = only?.find((name) => !contenders.some((contender) => contender.name === name));
if (unknown !== undefined) {
  process.stderr.write(`there is no contender "${unknown}"; known: ${contenders.map(({ name }) => name).join(', ')}\n`);
  process.exit(2);
}
const chosen = contenders.filter(({ name }) => only === undefined || only.includes(name));
// The page is of one run: a part of it goes elsewhere.
const out = values.out ?? join(import.meta.dirname, '..', only === undefined ? 'docs' : '.cache', 'comparison.json');
const stage = await openStage();
const measured: Measured[] = [];
try {
  for (const contender of chosen) {
    process.stderr.write(`${contender.name}\n`);
    const result = await measure(contender, stage);
    const { worked, all } = controlsOf(result);
    const count = (verdict: string): number => result.findings.filter((one) => one.verdict === verdict).length;
    process.stderr.write(
      result.missing === undefined
        ? `  ${result.version}: ${count('held')} held, ${count('broken')} broken, ${count('inconclusive')} inconclusive; ${worked} of ${all} controls worked\n`
        : `  not measured: ${result.missing}\n`,
    );
    measured.push(result);
  }
} finally {
  await stage.close();
}
const report: Comparison = {
  casemate: version,
  date: new Date().toISOString().slice(0, 10),
  machine: machine(),
  contenders: measured,
};
mkdirSync(dirname(out), { recursive: true });
writeFileSync(out, `${rowByRow(report)}\n`);
if (values.out === undefined && only === undefined) {
  writeDocs();
}
process.exitCode = measured.some(({ missing }) => missing !== undefined) ? 1 : 0;
