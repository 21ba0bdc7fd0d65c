import { isUtf8 } from 'node:buffer';

import type { JournalRecord } from './record.ts';

/**
 * Which bytes are a line of the journal. One regular expression accepts exactly the canonical lines of well-formed records, so a
 * verifier needs no parser. It is matched against bytes read as Latin-1 (one character a byte).
 */

// RFC 8785, 3.2.2.2: only these escapes, in this form, and nothing else escaped.
const plain = String.raw`[^"\\\x00-\x1f]*`;
const escape = String.raw`\\(?:["\\bfnrt]|u00(?:0[0-7bef]|1[0-9a-f]))`;
const text = `"${plain}(?:${escape}${plain})*"`;
const fact = String.raw`"[A-Za-z][\w.-]{0,63}":(?:${text}|true|false|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:e[+-]\d+)?)`;
const detail = String.raw`\{(?:${fact}(?:,${fact})*)?\}`;
const day = String.raw`\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])`;
const time = String.raw`${day}T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d\.\d{3}Z`;

const line =
  String.raw`\{"action":${text},"actor":${text}(?:,"credential":${text})?,"decision":"(?:allow|deny|none)"` +
  String.raw`(?:,"detail":(${detail}))?,"outcome":${text}(?:,"policy":${text})?,"previous":"([0-9a-f]{64})"` +
  String.raw`(?:,"rule":${text})?(?:,"sandbox":${text})?,"seq":([1-9]\d{0,15}),"subject":${text},"time":"(${time})"\}` +
  '\n';

/** Sticky; groups: detail (if any), previous, seq, time. The line feed belongs to it. */
export const lineGrammar = (): RegExp => new RegExp(line, 'y');

/** How a line begins that states a checkpoint. */
export const checkpointOpening = '{"action":"journal.checkpoint",';

/**
 * Whether the members of `detail` stand in order, once each, with numbers in canonical form (RFC 8785, 3.2.2.3 and 3.2.3).
 * `written` has passed the grammar, so only its punctuation needs to be followed.
 */
export function isCanonicalDetail(written: string): boolean {
  let before = '';
  let at = 1;
  while (written[at] === '"') {
    const nameEnd = written.indexOf('"', at + 1);
    const name = written.slice(at + 1, nameEnd);
    const valueEnd = endOfValue(written, nameEnd + 2);
    if (name <= before || !isCanonicalValue(written, nameEnd + 2, valueEnd)) {
      return false;
    }
    before = name;
    at = valueEnd + 1;
  }
  return true;
}

/** Index of the comma or brace behind the value that begins at `start`. */
function endOfValue(written: string, start: number): number {
  if (written[start] !== '"') {
    const comma = written.indexOf(',', start);
    return comma < 0 ? written.length - 1 : comma;
  }
  let at = start + 1;
  while (at < written.length && written[at] !== '"') {
    at += written[at] === '\\' ? 2 : 1;
  }
  return at + 1;
}

const digitZero = 0x30;
const digitNine = 0x39;

function isCanonicalValue(written: string, start: number, end: number): boolean {
  const first = written.charCodeAt(start);
  const isNumber = first === 0x2d || (first >= digitZero && first <= digitNine);
  if (!isNumber || (end - start === 1 && first !== 0x2d)) {
    return true;
  }
  const spelt = written.slice(start, end);
  return String(Number(spelt)) === spelt;
}

const matchOne = lineGrammar();

/** The record that a line (without line feed) states, or `undefined` if it is not the canonical line of a record. */
export function decodeRecord(bytes: Uint8Array): JournalRecord | undefined {
  if (!isUtf8(bytes)) {
    return undefined;
  }
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  matchOne.lastIndex = 0;
  const match = matchOne.exec(`${buffer.toString('latin1')}\n`);
  if (match?.[0].length !== bytes.length + 1 || (match[1] !== undefined && !isCanonicalDetail(match[1]))) {
    return undefined;
  }
  const parsed: unknown = JSON.parse(buffer.toString('utf8'));
  return isRecord(parsed) ? parsed : undefined;
}

// The grammar has proved the shape.
function isRecord(value: unknown): value is JournalRecord {
  return (
    typeof value === 'object' &&
    value !== null &&
    'seq' in value &&
    typeof value.seq === 'number' &&
    Number.isSafeInteger(value.seq)
  );
}
