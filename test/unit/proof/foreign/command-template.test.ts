/** Where the probing command goes in somebody else's command line. */
import { describe, expect, test } from 'vitest';

import { commandTemplate, shellWords } from '../../../../src/proof/foreign/command-template.ts';

const folders = { work: '/t/work', home: '/t/home' };
const around = (words: readonly string[], command: readonly string[]) => commandTemplate(words).around(command, folders);

describe('a command template', () => {
  test('takes the words of the probing command where {} stands', () => {
    expect(around(['docker', 'run', 'img', '{}', 'x'], ['perl', '-e', '$&'])).toEqual([
      'docker',
      'run',
      'img',
      'perl',
      '-e',
      '$&',
      'x',
    ]);
  });

  test('takes them as one text for a shell where {sh} stands, also within a word', () => {
    expect(around(['srt', '-c', '{sh}'], ["a'b", '$& c'])).toEqual(['srt', '-c', `'a'\\''b' '$& c'`]);
    expect(around(['sh', '-c', 'cd / && {sh}'], ['a'])).toEqual(['sh', '-c', `cd / && 'a'`]);
  });

  test('puts the folders of the proof in, also within words', () => {
    expect(around(['x', '-v', '{work}:/work', '-v{home}:/root', '{}'], ['a'])).toEqual([
      'x',
      '-v',
      '/t/work:/work',
      '-v/t/home:/root',
      'a',
    ]);
  });

  test('leaves other braces to the tool', () => {
    expect(around(['docker', '--format', '{{json}}', '{}'], ['a'])).toEqual(['docker', '--format', '{{json}}', 'a']);
    expect(around(['awk', '{print}', '{}'], ['a'])).toEqual(['awk', '{print}', 'a']);
  });

  test('does not fill places that came from the probing command', () => {
    expect(around(['x', '{}'], ['{work}', '{sh}'])).toEqual(['x', '{work}', '{sh}']);
    expect(around(['x', 'cd {work}; {sh}'], ['{work}', '{home}'])).toEqual(['x', `cd /t/work; '{work}' '{home}'`]);
  });

  test.each([
    [['docker', 'run', 'img'], 'no {}'],
    [[], 'no {}'],
    [['x', '{}', '{}'], 'more than one place'],
    [['x', '{}', '{sh}'], 'more than one place'],
    [['x', '{sh}{sh}'], 'more than one place'],
    [['{}'], 'begins with a place'],
    [['{sh}', 'x'], 'begins with a place'],
    [['x', '--command={}'], 'within the word --command={}'],
    [['x', '-v', '{wrok}:/w', '{}'], 'there is no place {wrok}'],
    [['x', '{cmd}'], 'no {}'],
  ])('%j is refused', (words, why) => {
    expect(() => commandTemplate(words)).toThrow(
      expect.objectContaining({ code: 'USAGE', message: expect.stringContaining(why) }),
    );
  });

  test('names the place that was probably meant', () => {
    expect(() => commandTemplate(['x', '{wrok}', '{}'])).toThrow(expect.objectContaining({ hint: 'Did you mean {work}?' }));
  });
});

test('an empty word keeps its quotes in a text for a shell', () => {
  expect(shellWords(['', 'a'])).toBe("'' 'a'");
});
