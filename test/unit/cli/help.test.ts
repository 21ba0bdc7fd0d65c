/** Help comes from the table alone and says what a person needs next. */
import { describe, expect, test } from 'vitest';

import type { CommandRow, CommandTable } from '../../../src/cli/command.ts';
import { helpFor, unknownCommand } from '../../../src/cli/help.ts';

function row(summary: string, more: Partial<CommandRow> = {}): CommandRow {
  return {
    summary,
    usage: '',
    options: [],
    examples: [],
    load: () => Promise.reject(new Error('help must not load a command')),
    ...more,
  };
}

const table: CommandTable = {
  run: row('Run a command in a new sandbox', {
    group: 'Sandboxes',
    usage: '[OPTION...] [-- COMMAND ARG...]',
    about: 'Word '.repeat(40).trim(),
    options: [
      { name: 'name', short: 'n', value: 'NAME', about: 'Name of the sandbox' },
      { name: 'env', value: 'NAME=VALUE', repeats: true, about: 'Set a variable' },
    ],
    examples: ['casemate run -- npm test'],
  }),
  ls: row('List sandboxes', { group: 'Sandboxes' }),
  'policy check': row('Check a policy', { group: 'Policy', usage: '[FILE]' }),
  'policy explain': row('Explain a verdict', { group: 'Policy', examples: ['casemate policy explain a.example', 'more'] }),
};

describe('helpFor', () => {
  test('lists every command under its heading', () => {
    const text = helpFor(table);
    for (const name of Object.keys(table)) {
      expect(text).toContain(`  ${name} `);
    }
    expect(text.indexOf('Sandboxes:')).toBeLessThan(text.indexOf('Policy:'));
    expect(text).toContain('125');
  });

  test('shows usage, options and examples of one command, aligned', () => {
    const lines = helpFor(table, 'run').split('\n');
    expect(lines[0]).toBe('Usage: casemate run [OPTION...] [-- COMMAND ARG...]');
    expect(lines).toContain('  -n, --name NAME       Name of the sandbox');
    expect(lines).toContain('      --env NAME=VALUE  Set a variable (may be repeated)');
    expect(lines).toContain('  casemate run -- npm test');
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(100);
  });

  test('shows a family by its first word', () => {
    const text = helpFor(table, 'policy');
    expect(text).toContain('policy check');
    expect(text).toContain('policy explain');
    expect(text).not.toContain('List sandboxes');
  });

  test('gives examples at each level: of the first command, and one of each of a family', () => {
    expect(helpFor(table)).toContain('Examples:\n  casemate run -- npm test\n\n');
    expect(helpFor(table, 'policy')).toContain('Examples:\n  casemate policy explain a.example\n\n');
  });

  test('names the nearest command for an unknown one', () => {
    expect(() => helpFor(table, 'rum')).toThrow(expect.objectContaining({ code: 'USAGE', hint: 'Did you mean: casemate run?' }));
    expect(unknownCommand(table, 'rum -- ls -l')).toMatchObject({
      message: 'unknown command "rum"',
      hint: 'Did you mean: casemate run?',
    });
    expect(unknownCommand(table, 'policy chek file').hint).toBe('Did you mean: casemate policy check?');
    expect(unknownCommand(table, 'policy everything').hint).toBe('See: casemate policy --help');
    expect(unknownCommand(table, 'polcy').hint).toBe('Did you mean: casemate policy?');
    expect(unknownCommand(table, '\u001b]0;x\u0007').message).not.toContain('\u001b');
  });
});
