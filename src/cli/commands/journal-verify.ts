import { access } from 'node:fs/promises';
import { resolve } from 'node:path';

import { CasemateError, toCasemateError } from '../../base/errors.ts';
import { visible, visibleJson } from '../../base/text.ts';
import { verifyBundle } from '../../journal/bundle.ts';
import { keyIdOf, publicKeyPath, readPublicKey } from '../../journal/journal-keys.ts';
import { verifyJournal, verifySegments, type JournalVerdict } from '../../journal/verify-journal.ts';
import { listSegments } from '../../journal/segments.ts';
import { readWitness } from '../../journal/witness.ts';
import type { CommandContext, CommandRow } from '../command.ts';
import { journalPlace } from '../../journal/journal-place.ts';
import { type ParsedOptions, optionalPositionals, parseOptions, switchOption, textOption } from '../reading/parse-options.ts';

/** `casemate journal verify`: 0 when valid, 1 with the first bad line when not. */
export async function run(args: readonly string[], context: CommandContext, row: CommandRow): Promise<number> {
  const parsed = parseOptions(row, args);
  const { verdict, keyId } = await verdictFor(parsed, context).catch(withoutJournal);
  if (switchOption(parsed, 'json')) {
    context.stdout.write(`${visibleJson({ ...verdict, key: keyId })}\n`);
  } else if (verdict.fault === undefined) {
    context.stdout.write(describe(verdict, keyId));
  } else {
    const { segment, line, why } = verdict.fault;
    context.stdout.write(`not valid: ${visible(segment)}${line === 0 ? '' : `:${line}`}: ${visible(why)}\n`);
  }
  return verdict.valid ? 0 : 1;
}

/** What cannot even be read as a journal (a link, a gap between its files, a broken witness) is not valid either. */
function withoutJournal(error: unknown): Verified {
  const { code, message } = toCasemateError(error);
  if (code !== 'JOURNAL_INVALID') {
    throw error;
  }
  return { verdict: invalid(message), keyId: undefined };
}

function invalid(why: string): JournalVerdict {
  const nothing = { records: 0, segments: 0, head: undefined, signedThrough: 0, unsigned: 0, witnessed: undefined };
  return { valid: false, ...nothing, fault: { segment: 'journal', line: 0, why } };
}

interface Verified {
  readonly verdict: JournalVerdict;
  readonly keyId: string | undefined;
}

async function verdictFor(parsed: ParsedOptions, { paths, cwd }: CommandContext): Promise<Verified> {
  const [file] = optionalPositionals(parsed, ['FILE']);
  const bundle = textOption(parsed, 'bundle');
  if (file !== undefined && bundle !== undefined) {
    throw new CasemateError('USAGE', 'give a file or --bundle, not both');
  }
  if (bundle !== undefined) {
    const folder = resolve(cwd, bundle);
    // A folder that is not there is a slip of the pen, not evidence that was tampered with.
    const { keyId, ...verdict } = await access(folder)
      .then(async () => await verifyBundle(folder))
      .catch((error: unknown) => unreadable(bundle, error));
    return { verdict, keyId };
  }
  const { folder, witnessPath } = journalPlace(paths);
  const publicKey = await readPublicKey(publicKeyPath(folder));
  const keyId = publicKey === undefined ? undefined : keyIdOf(publicKey);
  if (file === undefined) {
    // With a witness there was a journal once, and that it is gone is a finding. Without both there never was one here.
    if (publicKey === undefined && (await listSegments(folder)).length === 0 && (await readWitness(witnessPath)) === undefined) {
      return { verdict: invalid(`there is none yet in ${folder}; the first command that starts a sandbox begins it`), keyId };
    }
    return { verdict: await verifyJournal(folder, { witnessPath }), keyId };
  }
  const segment = { name: file, path: resolve(cwd, file) };
  const verdict = await verifySegments([segment], { witness: await readWitness(witnessPath), publicKey }).catch(
    (error: unknown) => unreadable(file, error),
  );
  return { verdict, keyId };
}

const fileFaults: Readonly<Record<string, string>> = {
  ENOENT: 'it does not exist',
  EACCES: 'it may not be read',
  ENOTDIR: 'it is not a folder that casemate journal export --format bundle made',
};

function unreadable(path: string, error: unknown): never {
  const why = error instanceof Error && 'code' in error ? fileFaults[String(error.code)] : undefined;
  if (why !== undefined) {
    throw new CasemateError('PATH_INVALID', `cannot check ${visible(path)}: ${why}`, { cause: error });
  }
  throw error;
}

function describe(verdict: JournalVerdict, keyId: string | undefined): string {
  const { records, segments, unsigned, witnessed } = verdict;
  const lines = [
    `valid: ${records} records in ${segments} ${segments === 1 ? 'segment' : 'segments'}, signed by key ${keyId ?? 'of the witness'}`,
  ];
  if (unsigned > 0) {
    lines.push(`the last ${unsigned} are chained but not yet signed; the next checkpoint signs them`);
  }
  lines.push(
    witnessed === undefined
      ? 'without a witness: a tail that was cut off would not be noticed'
      : `measured by the witness of record ${witnessed}`,
  );
  return `${lines.join('\n')}\n`;
}
