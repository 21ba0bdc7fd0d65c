import { constants } from 'node:fs';
import { open, rm } from 'node:fs/promises';
import { resolve } from 'node:path';

import { CasemateError } from '../../base/errors.ts';
import { terminalSafeJson, visible, visibleJson } from '../../base/text.ts';
import { isErrno } from '../../system/files.ts';
import { writeBundle } from '../../journal/bundle.ts';
import { csvHeader, csvRow } from '../../journal/csv.ts';
import { queryJournal, type Found } from '../../journal/query.ts';
import { listSegments } from '../../journal/segments.ts';
import type { CommandContext, CommandRow } from '../command.ts';
import { readFilters } from '../reading/journal-filters.ts';
import { journalPlace } from '../../journal/journal-place.ts';
import { lineOutput } from '../printing/line-output.ts';
import {
  type ParsedOptions,
  numberOption,
  optionalPositionals,
  parseOptions,
  switchOption,
  textOption,
} from '../reading/parse-options.ts';

/** `casemate journal export`: records as JSON lines or CSV, or all of it as a bundle that verifies elsewhere. */
export async function run(args: readonly string[], context: CommandContext, row: CommandRow): Promise<number> {
  const parsed = parseOptions(row, args);
  optionalPositionals(parsed, []);
  const format = textOption(parsed, 'format') ?? 'json';
  if (format === 'bundle') {
    return await exportBundle(parsed, context);
  }
  if (format !== 'json' && format !== 'csv') {
    throw new CasemateError('USAGE', `--format ${visible(format)} is not a format`, { hint: 'Use json, csv or bundle.' });
  }
  const output = textOption(parsed, 'output');
  const count =
    output === undefined
      ? await toStdout(parsed, format, context)
      : await toFile(parsed, { format, path: resolve(context.cwd, output), context });
  if (output !== undefined) {
    report(parsed, context, { text: `${count} records in ${visible(output)}`, json: { records: count, output } });
  }
  return 0;
}

type Format = 'json' | 'csv';

async function* pieces(
  parsed: ParsedOptions,
  format: Format,
  { paths }: CommandContext,
): AsyncGenerator<{ text: string; isRecord: boolean }> {
  const segments = await listSegments(journalPlace(paths).folder);
  const filters = await readFilters(parsed, { segments, nowMs: Date.now() });
  const encode = format === 'csv' ? ({ record }: Found) => csvRow(record) : ({ bytes }: Found) => `${bytes.toString('utf8')}\n`;
  if (format === 'csv') {
    yield { text: csvHeader(), isRecord: false };
  }
  for await (const found of queryJournal(segments, { filters, limit: numberOption(parsed, 'limit', 1) })) {
    yield { text: encode(found), isRecord: true };
  }
}

async function toStdout(parsed: ParsedOptions, format: Format, context: CommandContext): Promise<number> {
  const output = lineOutput(context.stdout);
  let count = 0;
  for await (const { text, isRecord } of pieces(parsed, format, context)) {
    await output.write(format === 'json' ? terminalSafeJson(text) : text);
    count += isRecord ? 1 : 0;
    if (output.isClosed()) {
      break;
    }
  }
  return count;
}

interface FileTarget {
  readonly format: Format;
  readonly path: string;
  readonly context: CommandContext;
}

/** Exact bytes: an unfiltered JSON export verifies with `journal verify FILE`. */
async function toFile(parsed: ParsedOptions, { format, path, context }: FileTarget): Promise<number> {
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
  const file = await open(path, flags, 0o600).catch((error: unknown) => {
    throw cannotWrite(path, error);
  });
  let count = 0;
  try {
    let batch = '';
    for await (const { text, isRecord } of pieces(parsed, format, context)) {
      batch += text;
      count += isRecord ? 1 : 0;
      if (batch.length > 256 * 1024) {
        await file.writeFile(batch);
        batch = '';
      }
    }
    await file.writeFile(batch);
    await file.sync();
  } catch (error) {
    await rm(path, { force: true });
    throw error instanceof CasemateError ? error : cannotWrite(path, error);
  } finally {
    await file.close();
  }
  return count;
}

function cannotWrite(path: string, error: unknown): CasemateError {
  return new CasemateError(
    'PATH_INVALID',
    isErrno(error, 'EEXIST') ? `${visible(path)} exists already` : `cannot write ${visible(path)}`,
    {
      cause: error,
      hint: 'Give --output a file that does not exist, in a folder that does.',
    },
  );
}

async function exportBundle(parsed: ParsedOptions, context: CommandContext): Promise<number> {
  const output = textOption(parsed, 'output');
  const filter = ['sandbox', 'action', 'decision', 'since', 'until', 'grep', 'limit'].find(
    (name) => parsed.values[name] !== undefined,
  );
  if (output === undefined || filter !== undefined) {
    throw new CasemateError(
      'USAGE',
      output === undefined ? 'a bundle needs --output' : `a bundle is the whole journal; leave out --${filter}`,
      {
        hint: 'A chain with gaps proves nothing. For some records use --format json or csv.',
      },
    );
  }
  const { folder, witnessPath } = journalPlace(context.paths);
  const { keyId, files } = await writeBundle(folder, { witnessPath, output: resolve(context.cwd, output) });
  const text = `${files.length} files in ${visible(output)}, key ${keyId}\nCheck: casemate journal verify --bundle ${visible(output)}`;
  report(parsed, context, { text, json: { output, key: keyId, files } });
  return 0;
}

function report(
  parsed: ParsedOptions,
  { stdout }: CommandContext,
  { text, json }: { readonly text: string; readonly json: unknown },
): void {
  stdout.write(`${switchOption(parsed, 'json') ? visibleJson(json) : text}\n`);
}
