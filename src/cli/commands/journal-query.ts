import { queryJournal } from '../../journal/query.ts';
import { listSegments } from '../../journal/segments.ts';
import type { CommandContext, CommandRow } from '../command.ts';
import { readFilters } from '../reading/journal-filters.ts';
import { journalPlace } from '../../journal/journal-place.ts';
import { lineOutput } from '../printing/line-output.ts';
import { numberOption, optionalPositionals, parseOptions } from '../reading/parse-options.ts';
import { recordFormat } from '../printing/record-format.ts';

/** `casemate journal query`: the records that match, oldest first. Reads the files; needs no daemon. */
export async function run(args: readonly string[], context: CommandContext, row: CommandRow): Promise<number> {
  const parsed = parseOptions(row, args);
  optionalPositionals(parsed, []);
  const limit = numberOption(parsed, 'limit', 1);
  const segments = await listSegments(journalPlace(context.paths).folder);
  const filters = await readFilters(parsed, { segments, nowMs: Date.now() });
  const format = recordFormat(parsed, context);
  const output = lineOutput(context.stdout);
  let badLines = 0;
  const onBadLine = (): void => {
    badLines += 1;
  };
  for await (const found of queryJournal(segments, { filters, limit, onBadLine })) {
    await output.write(format(found));
    if (output.isClosed()) {
      break;
    }
  }
  if (badLines > 0) {
    context.stderr.write(`${badLines} ${badLines === 1 ? 'line is' : 'lines are'} not a record; run: casemate journal verify\n`);
  }
  return 0;
}
