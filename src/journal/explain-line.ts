import { isUtf8 } from 'node:buffer';

import { visible } from '../base/text.ts';
import { maxLineBytes } from './encode-record.ts';

/** Explains to a person why a line is not the canonical line of a record. Only called for lines that failed already. */

const members = [
  'action',
  'actor',
  'credential',
  'decision',
  'detail',
  'outcome',
  'policy',
  'previous',
  'rule',
  'sandbox',
  'seq',
  'subject',
  'time',
];
const optional = new Set(['credential', 'detail', 'policy', 'rule', 'sandbox']);

export function explainLine(line: Buffer): string {
  if (line.length >= maxLineBytes) {
    return tooLong;
  }
  if (line.length === 0) {
    return 'the line is empty';
  }
  return isUtf8(line) ? explainText(line.toString('utf8')) : 'the line is not UTF-8';
}

export const tooLong = `the line is longer than ${maxLineBytes} bytes`;

function explainText(text: string): string {
  try {
    const parsed: unknown = JSON.parse(text);
    if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) {
      return 'the line is not a JSON object';
    }
    // Throws for values nested too deeply, which no record has.
    return explainMembers(Object.keys(parsed)) ?? explainForm(JSON.stringify(parsed) === text);
  } catch {
    return 'the line is not JSON';
  }
}

function explainMembers(names: readonly string[]): string | undefined {
  const unknown = names.find((name) => !members.includes(name));
  if (unknown !== undefined) {
    return `the record has a member "${visible(unknown.slice(0, 64))}" that no record has`;
  }
  const missing = members.find((name) => !optional.has(name) && !names.includes(name));
  return missing === undefined ? undefined : `the record has no "${missing}"`;
}

function explainForm(isAsWritten: unknown): string {
  return isAsWritten === true
    ? 'the record is not in canonical order or has a value no record has'
    : 'the line is not in canonical form (RFC 8785): a member twice, spaces, or another spelling of a text or number';
}
