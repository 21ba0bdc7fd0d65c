/** Splitting of `--command`: what the quotes of a POSIX shell mean, and a refusal of all that needs one. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { splitCommand } from '../../../../src/proof/foreign/split-command.ts';
import { shellWords } from '../../../../src/proof/foreign/command-template.ts';

describe('words', () => {
  test.each<readonly [string, readonly string[]]>([
    ['docker run --rm img {}', ['docker', 'run', '--rm', 'img', '{}']],
    ['  a \t b  ', ['a', 'b']],
    ['', []],
    [`a 'b c' "d e"`, ['a', 'b c', 'd e']],
    [`a'b'"c"d`, ['abcd']],
    [`'' ""`, ['', '']],
    [String.raw`a\ b \'c \"d \\`, ['a b', "'c", '"d', '\\']],
    [String.raw`"a\"b\\c\d\$e"`, ['a"b\\c\\d$e']],
    [String.raw`'a\b$c*'`, ['a\\b$c*']],
    ['a\\\nb \\\n c', ['ab', 'c']],
    ['"a\\\nb"', ['ab']],
    ["'a\nb'", ['a\nb']],
  ])('%j', (text, words) => {
    expect(splitCommand(text)).toEqual(words);
  });

  test('an equals sign, a tilde and a hash within a word are letters', () => {
    expect(splitCommand('env A=1 --b=~c d#e -v {work}:/work')).toEqual(['env', 'A=1', '--b=~c', 'd#e', '-v', '{work}:/work']);
  });

  test('a text that is one list of quoted words is that list again, whatever the words hold', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'binary', maxLength: 12 }), { maxLength: 4 }), (words) => {
        expect(splitCommand(shellWords(words))).toEqual(words);
      }),
    );
  });
});

describe('refusals', () => {
  test.each([
    ['a $HOME', '$HOME'],
    ['a "$HOME"', '$HOME"'],
    ['a `id`', '`id`'],
    ['a "`id`"', '`id`"'],
    ['a $(id)', '$(id)'],
    ['a | b', '| b'],
    ['a && b', '&& b'],
    ['a; b', '; b'],
    ['a\nb', '\\x0ab'],
    ['a > b', '> b'],
    ['a 2>&1', '>&1'],
    ['a < b', '< b'],
    ['a *.txt', '*.txt'],
    ['a b?', '?'],
    ['a [ab]', '[ab]'],
    ['(a)', '(a)'],
    ['a ~/b', '~/b'],
    ['a # b', '# b'],
    ['A=1 b', 'A=1 b'],
    ['a {b,c}', '{b,c}'],
    ['a {1..3}', '{1..3}'],
    ["a 'b", "'b"],
    ['a "b', '"b'],
    ['a \\', '\\'],
  ])('%j is refused, with the place where it stands', (text, shown) => {
    expect(() => splitCommand(text)).toThrow(expect.objectContaining({ code: 'USAGE' }));
    expect(() => splitCommand(text)).toThrow(`(${shown})`);
  });
});
