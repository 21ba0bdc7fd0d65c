import { journalPlace } from '../../journal/journal-place.ts';
import { queryJournal } from '../../journal/query.ts';
import { listSegments } from '../../journal/segments.ts';
import { createUsageSum, type UsageRow } from '../../journal/sum-usage.ts';
import type { CommandContext, CommandRow } from '../command.ts';
import { readFilters, readTime } from '../reading/journal-filters.ts';
import { printJson, table } from '../printing/output.ts';
import { optionalPositionals, parseOptions, switchOption, textOption } from '../reading/parse-options.ts';

/** `casemate usage`: tokens and spend by sandbox, credential and model, from the journal. Needs no daemon. */
export async function run(args: readonly string[], context: CommandContext, row: CommandRow): Promise<number> {
  const parsed = parseOptions(row, args);
  optionalPositionals(parsed, []);
  const segments = await listSegments(journalPlace(context.paths).folder);
  const { sandboxes } = await readFilters(parsed, { segments, nowMs: Date.now() });
  const sinceMs = readTime('since', textOption(parsed, 'since'), Date.now()) ?? -Infinity;
  const sum = createUsageSum();
  // The names of sandboxes may be told before the time that is asked for.
  for await (const { record } of queryJournal(segments, { filters: { sandboxes } })) {
    if (record.action.startsWith('sandbox.') || Date.parse(record.time) >= sinceMs) {
      sum.add(record);
    }
  }
  const rows = sum.rows();
  if (switchOption(parsed, 'json')) {
    printJson(context.stdout, rows);
    return 0;
  }
  context.stdout.write(rows.length === 0 ? 'no model was used\n' : usageTable(rows));
  return 0;
}

const headings = ['SANDBOX', 'CREDENTIAL', 'MODEL', 'REQUESTS', 'INPUT', 'CACHE READ', 'CACHE WRITE', 'OUTPUT', 'SPEND'];

function usageTable(rows: readonly UsageRow[]): string {
  const total = rows.reduce((sum, row) => sum + row.spendMicros, 0);
  const isEstimated = rows.some((row) => row.isEstimated);
  const lines = table(headings, rows.map(cells));
  const note = isEstimated ? '* estimated: a price or a count of tokens is not known\n' : '';
  return `${lines}${note}total ${dollars(total)}\n`;
}

function cells(row: UsageRow): readonly string[] {
  return [
    row.sandbox,
    row.credential ?? '-',
    row.model,
    ...[row.requests, row.inputTokens, row.cacheReadTokens, row.cacheWriteTokens, row.outputTokens].map(String),
    `${dollars(row.spendMicros)}${row.isEstimated ? '*' : ''}`,
  ];
}

function dollars(micros: number): string {
  return `$${(micros / 1_000_000).toFixed(4)}`;
}
