import { visible } from '../../base/text.ts';
import type { Finding, Row, Verdict } from '../../proof/finding.ts';
import { guarantees } from '../../proof/guarantees.ts';
import type { GuaranteeVerdict, Proof } from '../../proof/prove.ts';
import { probes } from '../../proof/probes.ts';
import type { CommandContext } from '../command.ts';
import { bold, dim, drawsOver, mark } from './output.ts';

/** A proof for a terminal: one line a guarantee, below it what did not hold, and on request everything that was observed. */

const words: Readonly<Record<Verdict, string>> = {
  held: 'held',
  broken: 'BROKEN',
  'not-applicable': 'not applicable',
  inconclusive: 'inconclusive',
};

export interface ProofTextOptions {
  readonly rows: boolean;
}

export function proofText(stream: NodeJS.WriteStream, proof: Proof, options: ProofTextOptions): string {
  const lines = proof.verdicts.flatMap((verdict) => guaranteeLines(stream, verdict, proof.findings, options));
  return `${lines.join('\n')}\n\n${summary(stream, proof)}\n`;
}

function guaranteeLines(
  stream: NodeJS.WriteStream,
  { guarantee, verdict, probes: ids }: GuaranteeVerdict,
  findings: readonly Finding[],
  { rows }: ProofTextOptions,
): readonly string[] {
  const own = findings.filter(({ probe }) => ids.includes(probe));
  const sign = mark(stream, verdict === 'held' ? 'yes' : verdict === 'broken' ? 'no' : 'unknown');
  const all = Object.values(probes).filter(({ proves }) => proves.includes(guarantee)).length;
  const head = `${sign} ${guarantee.padEnd(4)}${words[verdict].padEnd(14)} ${`${own.length}/${all}`.padStart(5)}  ${guarantees[guarantee].text}`;
  const shown = rows ? own : own.filter((finding) => finding.verdict !== 'held');
  return [head, ...shown.flatMap((finding) => findingLines(stream, finding, rows))];
}

function findingLines(stream: NodeJS.WriteStream, finding: Finding, withRows: boolean): readonly string[] {
  const title = probes[finding.probe]?.title ?? finding.probe;
  const why = finding.why === undefined ? '' : `: ${visible(finding.why)}`;
  const head = `     ${words[finding.verdict]}  ${finding.probe} (${title})${why}`;
  return [head, ...(withRows ? finding.rows.map((row) => dim(stream, rowLine(row))) : [])];
}

function rowLine({ kind, what, expected, seen, ok, from }: Row): string {
  const sign = ok === true ? 'as expected' : ok === false ? 'NOT as expected' : 'undecided';
  return `         ${kind} ${from}  ${visible(what)}: expected ${visible(expected)}, saw ${visible(seen)} (${sign})`;
}

function summary(stream: NodeJS.WriteStream, { findings, verdicts }: Proof): string {
  const count = (wanted: Verdict): number => verdicts.filter(({ verdict }) => verdict === wanted).length;
  const kinds: readonly Verdict[] = ['held', 'broken', 'inconclusive', 'not-applicable'];
  const parts = kinds.filter((kind) => count(kind) > 0).map((kind) => `${count(kind)} ${words[kind]}`);
  const seen = findings.reduce((sum, { rows }) => sum + rows.length, 0);
  return `${bold(stream, parts.join(', '))}  ${dim(stream, `${findings.length} probes, ${seen} observations; n/m: probes of this run, and of all there are`)}`;
}

/** What is being tried, on standard error: replaced in place at a terminal, nothing elsewhere unless something fails. */
export function proofProgress(context: CommandContext, { quiet }: { readonly quiet: boolean }) {
  const { stderr } = context;
  const shows = drawsOver(context) && !quiet;
  const clear = (): void => void (shows && stderr.write('\r\u001B[2K'));
  return {
    start(title: string): void {
      if (shows) {
        clear();
        stderr.write(`  .. ${title}`.slice(0, Math.max(20, stderr.columns - 1)));
      }
    },
    finding(finding: Finding): void {
      clear();
      if (!quiet && finding.verdict === 'broken') {
        stderr.write(`${mark(stderr, 'no')} ${finding.probe}: ${visible(finding.why ?? '')}\n`);
      }
    },
    end: clear,
  };
}
