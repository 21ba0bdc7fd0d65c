import type { CommandTable } from '../command.ts';
import { json } from './shared-options.ts';

/** The rows of the command table about the journal. */
export const journalCommands: CommandTable = {
  'journal tail': {
    group: 'Journal',
    summary: 'Show the newest records',
    usage: '[OPTION...]',
    options: [
      { name: 'lines', value: 'N', about: 'number of records (default 20)' },
      { name: 'follow', short: 'f', about: 'keep running until interrupted' },
      json,
    ],
    examples: ['casemate journal tail', 'casemate journal tail --follow'],
    load: () => import('../commands/journal-tail.ts'),
  },
  'journal query': {
    group: 'Journal',
    summary: 'Find records',
    usage: '[OPTION...]',
    options: [
      { name: 'sandbox', value: 'NAME|ID', about: 'only of this sandbox' },
      { name: 'action', value: 'PREFIX', about: 'only actions that start with this, e.g. net.' },
      { name: 'decision', value: 'allow|deny|none', about: 'only with this decision: allow, deny or none' },
      { name: 'since', value: 'TIME', about: 'only records since then: 24h, 30m, or an RFC 3339 time' },
      { name: 'until', value: 'TIME', about: 'only records until then' },
      { name: 'grep', value: 'TEXT', about: 'only records that contain this text' },
      { name: 'limit', value: 'N', about: 'at most this many records, the newest' },
      json,
    ],
    examples: [
      'casemate journal query --decision deny --since 24h',
      'casemate journal query --sandbox work --action net. --json',
    ],
    load: () => import('../commands/journal-query.ts'),
  },
  'journal verify': {
    group: 'Journal',
    summary: 'Check that no record was changed, removed, reordered or truncated',
    usage: '[FILE]',
    options: [{ name: 'bundle', value: 'FILE', about: 'check an exported evidence bundle' }, json],
    examples: ['casemate journal verify'],
    load: () => import('../commands/journal-verify.ts'),
  },
  'journal export': {
    group: 'Journal',
    summary: 'Write records to a file: json, csv, or a bundle that verifies offline',
    usage: '[OPTION...]',
    options: [
      { name: 'format', value: 'json|csv|bundle', about: 'format (default json)' },
      { name: 'output', value: 'FILE', about: 'file or folder to write (default: standard output)' },
      { name: 'sandbox', value: 'NAME|ID', about: 'only of this sandbox' },
      { name: 'since', value: 'TIME', about: 'only records since then' },
      { name: 'until', value: 'TIME', about: 'only records until then' },
      json,
    ],
    examples: ['casemate journal export --format csv --since 24h --output day.csv'],
    load: () => import('../commands/journal-export.ts'),
  },
};
