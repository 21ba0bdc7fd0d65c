import { cursorNearEnd, followJournal } from '../../journal/follow.ts';
import { queryJournal } from '../../journal/query.ts';
import { listSegments } from '../../journal/segments.ts';
import type { CommandContext, CommandRow } from '../command.ts';
import { journalPlace } from '../../journal/journal-place.ts';
import { lineOutput } from '../printing/line-output.ts';
import { numberOption, optionalPositionals, parseOptions, switchOption } from '../reading/parse-options.ts';
import { recordFormat } from '../printing/record-format.ts';

/** `casemate journal tail`: the newest records, and with --follow each new one. Reads the files; needs no daemon. */
export async function run(args: readonly string[], context: CommandContext, row: CommandRow): Promise<number> {
  const parsed = parseOptions(row, args);
  optionalPositionals(parsed, []);
  const lines = numberOption(parsed, 'lines') ?? 20;
  const { folder } = journalPlace(context.paths);
  const format = recordFormat(parsed, context);
  const output = lineOutput(context.stdout);
  // Taken before the reading, so that nothing falls between the two.
  const from = await cursorNearEnd(folder);
  let afterSeq = 0;
  let shown = 0;
  for await (const found of queryJournal(await listSegments(folder), { filters: {}, limit: Math.max(1, lines) })) {
    afterSeq = found.record.seq;
    if (lines > 0) {
      shown += 1;
      await output.write(format(found));
    }
  }
  if (!switchOption(parsed, 'follow')) {
    if (shown === 0 && lines > 0) {
      context.stderr.write(`no records yet in ${folder}\n`);
    }
    return 0;
  }
  await untilInterrupted(async (signal) => {
    for await (const found of followJournal(folder, { from, afterSeq, signal })) {
      await output.write(format(found));
      if (output.isClosed()) {
        return;
      }
    }
  });
  return 0;
}

async function untilInterrupted(work: (signal: AbortSignal) => Promise<void>): Promise<void> {
  const abort = new AbortController();
  const stop = (): void => abort.abort();
  process.once('SIGINT', stop);
  process.once('SIGTERM', stop);
  try {
    await work(abort.signal);
  } finally {
    process.off('SIGINT', stop);
    process.off('SIGTERM', stop);
  }
}
