import { describe, expect, test } from 'vitest';

import { csvHeader, csvRow } from '../../../src/journal/csv.ts';
import { matcher } from '../../../src/journal/query.ts';
import { noLine } from '../../../src/journal/encode-record.ts';
import type { JournalRecord } from '../../../src/journal/record.ts';
import { renderRecord } from '../../../src/journal/render.ts';
import { entryOf } from '../../helpers/journal-log.ts';

const record: JournalRecord = { ...entryOf(1), seq: 1, time: '2026-05-01T12:00:00.000Z', previous: noLine };

describe('a record as a line for people', () => {
  test('holds what happened, to what, and by which rule', () => {
    expect(renderRecord(record, { colours: 'off' })).toBe(
      '2026-05-01 12:00:00.000Z  allow  cm-0123456789abcdef  net.exchange      host1.example.com:443  ok  rule=preset:claude:1' +
        '  by=sandbox  status=200  method=POST  reused=false',
    );
  });

  test('paints the decision where colours are wanted', () => {
    expect(renderRecord({ ...record, decision: 'deny' }, { colours: 'on' })).toContain('\u001b[31mdeny \u001b[39m');
  });
});

describe('a record as CSV', () => {
  test('has as many fields as the header', () => {
    expect(csvHeader().split(',')).toHaveLength(13);
    expect(csvRow({ ...record, detail: undefined }).split(',')).toHaveLength(13);
  });

  test.each(['=1+1', '+1', '-1', '@SUM(A1)', '\uff1dcmd', '|calc', ' =1', '\t=1'])('is no formula: %j', (subject) => {
    const [, field = ''] = /net\.exchange,("(?:[^"]|"")*"|[^,]*),/.exec(csvRow({ ...record, subject })) ?? [];
    expect(field).not.toMatch(/^"?\s*[=+\-@|\uff1d]/);
  });

  test('quotes commas, quotes and line ends (RFC 4180)', () => {
    expect(csvRow({ ...record, subject: 'a,"b"\r\n' })).toContain(',"a,""b""\\x0d\\x0a",');
  });
});

describe('a filter', () => {
  test.each([
    [{}, true],
    [{ action: 'net.' }, true],
    [{ action: 'exec' }, false],
    [{ decision: 'deny' as const }, false],
    [{ sandboxes: new Set(['cm-0123456789abcdef']) }, true],
    [{ sandboxes: new Set(['cm-0000000000000000']) }, false],
    [{ sinceMs: Date.parse('2026-05-01T12:00:00Z') }, true],
    [{ sinceMs: Date.parse('2026-05-01T12:00:01Z') }, false],
    [{ untilMs: Date.parse('2026-05-01T12:00:00Z') }, true],
    [{ untilMs: Date.parse('2026-05-01T11:00:00Z') }, false],
    [{ text: 'EXAMPLE.com' }, true],
    [{ text: 'method=post' }, true],
    [{ text: '0000000000000000000' }, false],
  ])('%j matches: %s', (filters, expected) => {
    expect(matcher(filters)(record)).toBe(expected);
  });
});
