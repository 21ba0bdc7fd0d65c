/** A terminal of this host that a command is run at: what is typed into it is told apart from what the command prints. */
import { expect, test } from 'vitest';

import { atTerminal, readTyped } from '../../../src/proof/outside/host-terminal.ts';
import { run } from '../../../src/system/process.ts';

const word = 'c0ffee';

async function typedBy(program: string): Promise<ReturnType<typeof readTyped> & { readonly code: number }> {
  const [file = '', ...args] = await atTerminal(word, ['perl', '-e', program]);
  const { exitCode, stdout } = await run(file, args, { env: { PATH: '/usr/bin:/bin' }, timeoutMs: 20_000 });
  return { theirs: '', own: '', ...readTyped(stdout, word), code: exitCode };
}

test('what a command at it writes is not typed, and its exit code is handed on', async () => {
  expect(await typedBy('print "x" x 10; syswrite(STDOUT, "no line"); exit 7')).toMatchObject({ theirs: '', code: 7 });
});

test('it is standard input and the controlling terminal', async () => {
  expect(await typedBy('exit(-t STDIN && open(my $tty, "+<", "/dev/tty") ? 3 : 4)')).toMatchObject({ code: 3 });
});

test('what is typed by ioctl is seen, wherever the kernel lets anybody do that', async () => {
  const { theirs, own } = await typedBy('for my $letter (split //, "ab") { ioctl(STDIN, 0x5412, $letter) }');
  expect([theirs, own]).toEqual(own === 'own' ? ['ab', 'own'] : ['', own]);
});

test.each([
  ['an answer\nc0ffee 6162 6f776e\n', { theirs: 'ab', own: 'own' }],
  ['c0ffee - EIO\n', { theirs: '', own: 'EIO' }],
  ['c0ffee 61\n', undefined],
  ['an answer without the line', undefined],
])('%j is read', (text, typed) => {
  expect(readTyped(Buffer.from(text), word)).toEqual(typed);
});
