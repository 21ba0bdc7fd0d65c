/** Command lines are read strictly: what a row does not declare is refused with one clear line. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import type { CommandRow } from '../../../src/cli/command.ts';
import {
  listOption,
  numberOption,
  optionalPositionals,
  parseOptions,
  requiredCommand,
  requiredPositionals,
  switchOption,
  textOption,
} from '../../../src/cli/reading/parse-options.ts';

const row: Pick<CommandRow, 'options'> = {
  options: [
    { name: 'json', about: 'Print JSON' },
    { name: 'keep', short: 'k', about: 'Keep it' },
    { name: 'policy', short: 'p', value: 'FILE', about: 'Policy' },
    { name: 'env', short: 'e', value: 'NAME=VALUE', repeats: true, about: 'Variable' },
    { name: 'lines', value: 'N', about: 'Lines' },
  ],
};

describe('parseOptions', () => {
  test.each<[string, string[], object]>([
    ['a switch', ['--json'], { json: true }],
    ['a value after a space', ['--policy', 'a.yaml'], { policy: 'a.yaml' }],
    ['a value after an equals sign', ['--policy=a=b'], { policy: 'a=b' }],
    ['a short value', ['-p', 'a'], { policy: 'a' }],
    ['a short value glued on', ['-pa'], { policy: 'a' }],
    ['a repeating option', ['-e', 'A=1', '--env=B=2'], { env: ['A=1', 'B=2'] }],
    ['a value that looks like an option, glued on', ['--policy=--json'], { policy: '--json' }],
    ['a lone hyphen as value', ['--policy', '-'], { policy: '-' }],
    ['a switch twice', ['--json', '--json'], { json: true }],
  ])('reads %s', (_, args, values) => {
    expect({ ...parseOptions(row, args).values }).toEqual(values);
  });

  test.each<[string, string[], RegExp, RegExp]>([
    ['an unknown option', ['--polcy', 'x'], /unknown option --polcy/, /--policy/],
    ['an unknown short option', ['-z'], /unknown option -z/, /Known here/],
    ['a missing value at the end', ['--policy'], /--policy needs a value/, /--policy FILE/],
    ['a value that is the next option', ['--policy', '--json'], /--policy needs a value/, /--policy FILE/],
    ['a value that is the end of options', ['--policy', '--', 'x'], /--policy needs a value/, /--policy FILE/],
    ['an empty value', ['--policy='], /is empty/, /--policy FILE/],
    ['a value for a switch', ['--json=yes'], /takes no value/, /only --json/],
    ['an option given twice', ['--policy', 'a', '--policy', 'b'], /given twice/, /once/],
  ])('refuses %s', (_, args, message, hint) => {
    expect(() => parseOptions(row, args)).toThrow(
      expect.objectContaining({ code: 'USAGE', message: expect.stringMatching(message), hint: expect.stringMatching(hint) }),
    );
  });

  test('leaves everything after -- untouched, options and control characters included', () => {
    const rest = ['--json', '-p', '--', '$(id)', '\u001b[31m'];
    const parsed = parseOptions(row, ['name', '--json', '--', ...rest]);
    expect(parsed.rest).toEqual(rest);
    expect(parsed.positionals).toEqual(['name']);
    expect(switchOption(parsed, 'json')).toBe(true);
  });

  test('shows control characters of an unknown option as escapes', () => {
    expect(() => parseOptions(row, ['--\u001b[2J'])).toThrow(/--\\x1b\[2J/);
  });

  test('is not confused by names of object properties', () => {
    for (const name of ['--__proto__', '--constructor', '--toString']) {
      expect(() => parseOptions(row, [name])).toThrow(/unknown option/);
    }
  });

  test('passes any command after -- through unchanged', () => {
    fc.assert(
      fc.property(fc.array(fc.string()), (command) => {
        expect(parseOptions(row, ['--', ...command]).rest).toEqual(command);
      }),
    );
  });

  test('answers any command line with a result or a USAGE error', () => {
    fc.assert(
      fc.property(
        fc.array(fc.oneof(fc.string(), fc.constantFrom('--json', '-p', '--env', '--', '-', '-kk', '--policy='))),
        (args) => {
          try {
            parseOptions(row, args);
          } catch (error) {
            expect(error).toMatchObject({ code: 'USAGE' });
          }
        },
      ),
    );
  });
});

describe('readers', () => {
  test('give what was given and nothing else', () => {
    const parsed = parseOptions(row, ['-e', 'A=1', '--lines', '20', '--policy', 'x']);
    expect(textOption(parsed, 'policy')).toBe('x');
    expect(textOption(parsed, 'json')).toBeUndefined();
    expect(listOption(parsed, 'env')).toEqual(['A=1']);
    expect(listOption(parsed, 'other')).toEqual([]);
    expect(numberOption(parsed, 'lines')).toBe(20);
    expect(numberOption(parsed, 'other')).toBeUndefined();
  });

  test.each(['-1', '1.5', '0x10', 'ten', '1e3', '9'.repeat(30)])('refuse %s as a number', (text) => {
    expect(() => numberOption(parseOptions(row, [`--lines=${text}`]), 'lines')).toThrow(/not a whole number/);
  });

  test('refuse too few and too many positionals', () => {
    expect(requiredPositionals(parseOptions(row, ['a']), ['NAME'])).toEqual(['a']);
    expect(() => requiredPositionals(parseOptions(row, []), ['NAME'])).toThrow(/NAME is missing/);
    expect(() => requiredPositionals(parseOptions(row, ['a', 'b']), ['NAME'])).toThrow(/unexpected argument "b"/);
    expect(optionalPositionals(parseOptions(row, []), ['FILE'])).toEqual([]);
  });

  test('want a command after --', () => {
    expect(requiredCommand(parseOptions(row, ['--', 'ls']))).toEqual(['ls']);
    expect(() => requiredCommand(parseOptions(row, ['--']))).toThrow(/no command/);
  });
});
