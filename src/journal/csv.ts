import { visible } from '../base/text.ts';
import type { JournalRecord } from './record.ts';

/**
 * Records as CSV (RFC 4180: CRLF, quotes doubled). Control characters are escaped, and a text that a spreadsheet would take for
 * a formula gets a leading apostrophe (CWE-1236). For exact texts, export JSON.
 */

const columns = [
  'seq',
  'time',
  'sandbox',
  'actor',
  'action',
  'subject',
  'decision',
  'rule',
  'outcome',
  'credential',
  'policy',
  'detail',
  'previous',
] as const satisfies readonly (keyof JournalRecord)[];

export function csvHeader(): string {
  return `${columns.join(',')}\r\n`;
}

export function csvRow(record: JournalRecord): string {
  return `${columns.map((column) => field(record[column])).join(',')}\r\n`;
}

function field(value: JournalRecord[keyof JournalRecord]): string {
  if (value === undefined || typeof value === 'number') {
    return String(value ?? '');
  }
  const text = visible(typeof value === 'string' ? value : JSON.stringify(value));
  // Full-width forms count too: some programs fold them. White space before does not help.
  const safe = /^\s*[=+\-@\uff1d\uff0b\uff0d\uff20|%]/.test(text) ? `'${text}` : text;
  return /[",\s']/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
