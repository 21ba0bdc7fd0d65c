/** What many rounds came to: a row for each step, a column for each kind of fault. */
import type { Point, RoundReport } from './round.ts';

const columns = ['none', 'kill', 'kill both', 'tear', 'fail', 'child', 'later'] as const;

export const isBad = ({ faults }: Pick<RoundReport, 'faults'>): boolean => faults.length > 0;

/** Lines of a table: how many rounds were played, how many of them were hit by their fault, how many found something wrong. */
export function summaryOf(reports: readonly Pick<RoundReport, 'step' | 'point' | 'hits' | 'faults'>[]): readonly string[] {
  const bySteps = [...Map.groupBy(reports, ({ step }) => step)].map(([step, own]) => row(step, own));
  const rows = [['step', ...columns, 'hit', 'wrong'], ...bySteps, row('all', reports)];
  const widths = rows[0]?.map((_, at) => Math.max(...rows.map((cells) => cells[at]?.length ?? 0))) ?? [];
  return rows.map((cells) =>
    cells.map((cell, at) => (at === 0 ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0))).join('  '),
  );
}

function row(name: string, reports: Parameters<typeof summaryOf>[0]): readonly string[] {
  const counts = columns.map((column) => reports.filter(({ point }) => columnOf(point) === column).length);
  const hit = reports.filter(({ hits }) => hits.length > 0).length;
  return [name, ...[...counts, hit, reports.filter(isBad).length].map(String)];
}

function columnOf(point: Point): (typeof columns)[number] {
  if (point.kind !== 'point') {
    return point.kind;
  }
  const { act, withCaller } = point;
  return act === 'kill' || act === 'tear' || act === 'fail' ? (withCaller === true ? 'kill both' : act) : 'none';
}
