import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';

import type { Ecosystem } from '../../policy/guards.ts';
import type { Exchange } from '../exchange.ts';
import { valuesOf, type Field } from '../http/fields.ts';
import { inTurns } from '../in-turns.ts';
import type { UpstreamAnswer } from '../upstream/upstream-request.ts';

/** Answers with filtered package metadata: validators, caching and notices match what is left in them. */
export interface FilteredMetadata {
  readonly name: string;
  readonly body: Buffer;
  readonly type: string;
  /** version or file name to reason */
  readonly withheld: ReadonlyMap<string, string>;
  readonly offered: readonly string[];
}

export interface AskedFor {
  readonly exchange: Exchange;
  readonly ecosystem: Ecosystem;
}

/** Validators of the registry are about another document than the one that is handed on. */
export function withoutValidators(fields: readonly Field[]): readonly Field[] {
  const dropped = new Set([
    'etag',
    'last-modified',
    'content-length',
    'content-encoding',
    'content-md5',
    'digest',
    'repr-digest',
    'accept-ranges',
  ]);
  return fields.filter(([name]) => !dropped.has(name));
}

export async function answerWith(
  answer: UpstreamAnswer,
  found: FilteredMetadata,
  { exchange, ecosystem }: AskedFor,
): Promise<UpstreamAnswer> {
  const kept = withoutValidators(answer.fields).filter(
    ([name]) => name !== 'content-type' && name !== 'npm-notice' && (found.withheld.size === 0 || name !== 'cache-control'),
  );
  const etag = `"casemate-${(await inTurns(digestOf(found.body))).slice(0, 27)}"`;
  const own: readonly Field[] = found.withheld.size === 0 ? [] : [['x-casemate-withheld', withheldLine(found)]];
  const fields: Field[] = [...kept, ['content-type', found.type], ['etag', etag], ...told(found, ecosystem)];
  if (valuesOf(exchange.fields, 'if-none-match').some((value) => value.includes(etag))) {
    return { ...again(answer, Buffer.alloc(0)), status: 304, fields, own };
  }
  return { ...again(answer, found.body), own, fields: [...fields, ['content-length', String(found.body.length)]] };
}

const hashedBytes = 1024 * 1024;

function* digestOf(body: Buffer): Generator<void, string, void> {
  const hash = createHash('sha256');
  for (let from = 0; from < body.length; from += hashedBytes) {
    hash.update(body.subarray(from, from + hashedBytes));
    yield;
  }
  return hash.digest('base64url');
}

/** `npm-notice` is what npm shows to whoever runs it. */
function told(found: FilteredMetadata, ecosystem: Ecosystem): readonly Field[] {
  if (found.withheld.size === 0) {
    return [];
  }
  // What npm keeps in its cache it shows no notice of, and a version that comes of age should be seen at once.
  const fields: Field[] = [['cache-control', 'no-store']];
  return ecosystem === 'npm' ? [...fields, ['npm-notice', withheldLine(found)]] : fields;
}

function withheldLine({ name, withheld }: FilteredMetadata): string {
  const rows = [...withheld].slice(-3).map(([one, why]) => `${one} (${why})`);
  const more = withheld.size > rows.length ? ` and ${withheld.size - rows.length} more` : '';
  return `casemate withholds of ${name}: ${rows.join('; ')}${more}`.replaceAll(/[^\x20-\x7e]/g, '?').slice(0, 1000);
}

/** The same answer with another body. */
export function again(answer: UpstreamAnswer, body: Buffer): UpstreamAnswer {
  return { ...answer, body: Readable.from([body], { objectMode: false }), isWhole: () => true };
}
