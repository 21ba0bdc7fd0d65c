/**
 * Proves a sandbox under each engine of this machine and writes `docs/engines.json` and the page that is made from it:
 * `npm run engines -- [--only NAME,...] [--profile quick|full] [--report NAME=FILE]`. Those that are not named stay as they were
 * measured, and so do those of an ordinary user where root runs this, or the other way round; a report is what
 * `casemate prove --json` printed for that engine; of several, with commas between, the probes of a later one take the place of those
 * before, and the page names them. Status 1: one of them could not be measured.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import type { Finding } from '../src/proof/finding.ts';
import { version } from '../src/system/version.ts';
import { machine } from '../bench/machine.ts';
import { writeDocs } from './docs.ts';
import { inOwnHome } from './own-home.ts';
import { engineChoices, ofOrdinaryUser, type EngineRun, type EngineVerdicts, type ProbeRun } from './engines/verdicts.ts';

const { values } = parseArgs({
  options: { only: { type: 'string' }, profile: { type: 'string', default: 'full' }, report: { type: 'string' } },
});
const file = join(import.meta.dirname, '../docs/engines.json');
const program = join(import.meta.dirname, '../src/cli/main.ts');
const limitMs = 90 * 60_000;

interface Report {
  readonly statement: {
    readonly time: string;
    readonly profile: string;
    readonly runtimeVersion: string;
    readonly waived: readonly string[];
  };
  readonly findings: readonly Finding[];
}

/** In a home of its own, with the images of this machine. */
async function measure(name: string, options: readonly string[]): Promise<EngineRun> {
  const asked = { name, options, date: new Date().toISOString().slice(0, 10), profile: values.profile };
  return await inOwnHome(program, limitMs, async ({ call }) => {
    const { stdout, stderr } = await call(['prove', '--json', '--profile', values.profile, ...options]);
    return { ...asked, ...readReport(stdout.toString('utf8'), stderr.toString('utf8')) };
  });
}

/** Of reports of one engine, the first of which is whole. */
function readReports(files: readonly string[]) {
  const [whole, ...others] = files.map((one) => readReport(readFileSync(one, 'utf8'), 'no report'));
  if (whole === undefined) {
    throw new Error('--report NAME=FILE[,FILE]...');
  }
  const later = new Map(others.flatMap(({ probes }) => probes).map((one) => [one.probe, one]));
  const kept = whole.probes.filter(({ probe }) => !later.has(probe));
  return { ...whole, probes: [...kept, ...later.values()], ...(later.size === 0 ? {} : { later: [...later.keys()] }) };
}

function readReport(out: string, err: string): Pick<EngineRun, 'profile' | 'version' | 'waived' | 'probes' | 'missing'> {
  try {
    // oxlint-disable-next-line no-unsafe-type-assertion -- what the program of this checkout prints
    const { statement, findings } = JSON.parse(out) as Report;
    const { profile, runtimeVersion, waived } = statement;
    return { profile, version: runtimeVersion, waived, probes: findings.map(probeRun) };
  } catch {
    const none = { profile: values.profile, version: 'none', waived: [], probes: [] };
    return { ...none, missing: err.trim().split('\n')[0]?.slice(0, 200) ?? 'no report' };
  }
}

function probeRun({ probe, verdict, why, rows }: Finding): ProbeRun {
  const declared = rows.filter(({ expected }) => expected.includes(', or as declared of '));
  const differs = [
    ...new Set(declared.map(({ what, expected }) => `${what}: ${expected.split(/, or as declared of \w+: /)[1] ?? ''}`)),
  ];
  return { probe, verdict, ...(why === undefined ? {} : { why: withoutPlaces(why) }), differs };
}

/** Folders of a proof have names that mean nothing elsewhere. */
function withoutPlaces(text: string): string {
  return text.replaceAll(/\/tmp\/casemate-[\w-]+/g, '/tmp/…');
}

function before(): readonly EngineRun[] {
  // oxlint-disable-next-line no-unsafe-type-assertion -- what this script wrote
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as EngineVerdicts).engines : [];
}

const [reported, report = ''] = values.report?.split('=') ?? [];
const only = (reported ?? values.only)?.split(',').map((name) => name.trim());
const measured = new Map(before().map((one) => [one.name, one]));
for (const [name, options] of Object.entries(engineChoices)) {
  const isOurs = reported === name || ofOrdinaryUser.has(name) === (process.geteuid?.() !== 0);
  if (isOurs && (only === undefined || only.includes(name))) {
    process.stderr.write(`${name}\n`);
    const date = new Date().toISOString().slice(0, 10);
    const one = reported === name ? { name, options, date, ...readReports(report.split(',')) } : await measure(name, options);
    const count = (verdict: string): number => one.probes.filter((probe) => probe.verdict === verdict).length;
    process.stderr.write(
      `  ${one.missing ?? `${count('held')} held, ${count('broken')} broken, ${count('inconclusive')} inconclusive`}\n`,
    );
    measured.set(name, one);
    process.exitCode ||= one.missing === undefined ? 0 : 1;
  }
}
const engines = Object.keys(engineChoices).flatMap((name) => measured.get(name) ?? []);
const verdicts: EngineVerdicts = { casemate: version, machine: machine(), engines };
writeFileSync(file, `${JSON.stringify(verdicts, undefined, 1)}\n`);
writeDocs();
