import { readFile, readdir } from 'node:fs/promises';

import { expect, test } from 'vitest';

import { stageParts, stageText } from '../../src/engines/oci/stage-text.ts';
import { dataFile } from '../../src/system/data-file.ts';
import { run } from '../../src/system/process.ts';

/** `stage.pl` from its files and as one text: the same program. */

const program = dataFile('engines/oci/stage.pl');

test('the program loads every part, in the order in which the text has them', async () => {
  const [, loaded = ''] = /qw\(([^)]*)\)/.exec(await readFile(program, 'utf8')) ?? [];
  expect(loaded.split(' ')).toEqual([...stageParts]);
  const files = await readdir(dataFile('engines/oci/stage'));
  expect(files.toSorted()).toEqual(stageParts.map((part) => `${part}.pl`).toSorted());
});

// None of them does anything: the plan is empty, has no operation that there is, or is for no machine.
test.each([
  ['an empty plan', '', process.arch, { exitCode: 0, said: '' }],
  [
    'an unknown operation',
    'nothing\n',
    process.arch,
    { exitCode: 97, said: 'casemate-stage: plan: unknown operation nothing\n' },
  ],
  ['a line that is cut', 'nothing', process.arch, { exitCode: 97, said: 'casemate-stage: plan: is cut\n' }],
  ['another machine', '', 'mips', { exitCode: 97, said: 'casemate-stage: machine: is not supported\n' }],
])('from its files and as one text it answers %s alike', async (_, input, machine, expected) => {
  const env = { PATH: '/usr/bin:/bin' };
  const ways = [[program], ['-e', await stageText()]];
  const answers = await Promise.all(
    ways.map(async (way) => await run('perl', [...way, machine, String(process.pid)], { env, input, timeoutMs: 30_000 })),
  );
  expect(answers.map(({ exitCode, stderr }) => ({ exitCode, said: stderr.toString('utf8') }))).toEqual([expected, expected]);
});
