/** `casemate prove --command`: what is refused, and what a command that is no sandbox gets to hear. */
import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, readdir, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { packProgram } from '../../src/proof/foreign/pack-program.ts';
import { splitCommand } from '../../src/proof/foreign/split-command.ts';
import { makeHome, type Home } from '../helpers/cli.ts';

let home: Home;
let temporary: string;

beforeAll(async () => {
  home = await makeHome();
  temporary = await mkdtemp(join(tmpdir(), 'casemate-test-'));
});
afterAll(async () => {
  await home.remove();
  await rm(temporary, { recursive: true, force: true });
});

const prove = (command: string, ...more: readonly string[]) =>
  home.casemate(['prove', '--command', command, ...more], { env: { TMPDIR: temporary } });

describe('is refused before anything runs', () => {
  test.each([
    [['docker run --rm img'], 'there is no {} in --command'],
    [['docker run --rm img {} | tee'], 'a pipe to a shell'],
    [['docker run --rm $IMAGE {}'], 'a variable or substitution to a shell'],
    [['x --run={}'], '{} stands within the word'],
    [['x {}', '--runtime', 'runsc'], '--runtime is about one of casemate'],
    [['x {}', 'work'], 'NAME is about one of casemate'],
    [['x {}', '--timeout', 'soon'], '--timeout soon is not a time'],
  ])('%j', async ([command = '', ...more], why) => {
    const { code, err } = await prove(command, ...more);
    expect(code).toBe(2);
    expect(err).toContain(why);
  });

  test.skipIf(process.getuid?.() !== 0)('root on this host itself, by any way round (needs root)', async () => {
    const { code, err } = await prove('env A=1 {}');
    expect(code).toBe(2);
    expect(err).toContain('on this host itself, as root');
  });
});

describe('a command that is no sandbox', () => {
  test('and no program is told of', async () => {
    const { code, err } = await prove('no-such-sandbox {}');
    expect({ code, err }).toEqual({ code: 125, err: 'casemate: cannot start no-such-sandbox: there is no such program\n' });
  });

  test('and never ends is ended at the time limit, with all that it started', async () => {
    const mark = join(temporary, 'alive');
    const { code, err } = await prove(`sh -c 'sh -c "sleep 3; : > ${mark}" & sleep 60' {}`, '--timeout', '1s');
    expect(code).toBe(124);
    expect(err).toContain('sh did not end within 1 s and was ended');
    await new Promise((resolve) => setTimeout(resolve, 3500));
    expect(await readdir(temporary)).toEqual([]);
  });

  test('and floods is ended', async () => {
    const { code, err } = await prove("sh -c 'yes' {}");
    expect(code).toBe(125);
    expect(err).toContain('sh printed more than 16 MiB and was ended');
  });

  test.each([
    ["echo 'no:' {}", 'it ended with 0: no: sh -c'],
    ['sh -c \'echo "no daemon" >&2; exit 7\' {}', 'it ended with 7: no daemon'],
    ['true {}', 'it ended with 0, without a word'],
    [String.raw`sh -c "printf '\033]0;x\007'" {}`, String.raw`it ended with 0: \x1b]0;x\x07`],
  ])('and prints something else is quoted with its last words: %s', async (command, why) => {
    const { code, err } = await prove(command);
    expect(code).toBe(125);
    expect(err).toContain(why);
  });

  test('and has no perl gets no verdict but inconclusive, and the reason', async () => {
    const programs = join(temporary, 'programs');
    await mkdir(programs);
    await symlink('/bin/sh', join(programs, 'sh'));
    const { code, out } = await prove(`/usr/bin/env PATH=${programs} {}`, '--json');
    await rm(programs, { recursive: true });
    const { findings }: { findings: readonly { verdict: string; why: string }[] } = JSON.parse(out);
    expect(code).toBe(125);
    expect(findings.length).toBeGreaterThan(20);
    expect(new Set(findings.map(({ verdict, why }) => `${verdict}: ${why}`))).toEqual(
      new Set(['inconclusive: there is no perl inside, which the questions need']),
    );
  });

  test('leaves no folder of ours behind', async () => {
    expect(await readdir(temporary)).toEqual([]);
  });
});

test('a POSIX shell reads what is accepted in the same way', () => {
  const texts = fc.sample(
    fc.string({ unit: fc.constantFrom('a', ' ', "'", '"', '\\', '$', '\n', '{', '}', '=', '~', '#', '\t'), maxLength: 12 }),
    { numRuns: 2000, seed: 7 },
  );
  const read = texts.flatMap((text) => {
    try {
      return [{ text, words: splitCommand(`print ${text}`).slice(1) }];
    } catch {
      return [];
    }
  });
  expect(read.length).toBeGreaterThan(300);
  const script = `print() { for word; do printf '%s\\001' "$word"; done; printf '\\002'; }\n${read.map(({ text }) => `print ${text}`).join('\n')}\n`;
  const out = execFileSync('/bin/sh', ['-c', script], { encoding: 'utf8' });
  expect(out.split('\u0002').slice(0, -1)).toEqual(read.map(({ words }) => words.map((word) => `${word}\u0001`).join('')));
});

test.each([
  ['of one byte less than a group', 'print "ab\\n"'],
  ['of two bytes less', 'print "a\\n"'],
  ['with arguments', 'print "@ARGV\\n"'],
  ['of many lines', `print "x" x 500, "\\n"; # ${'y'.repeat(1000)}`],
  ['with quotes, dollars and letters beyond ASCII', `print "é'ü\\n", '$&'`],
])('a packed program %s does what it did before, and needs no quotes', (_, text) => {
  const [file = '', ...args] = packProgram(['perl', '-e', text, 'one', 'two']);
  const plain = execFileSync('perl', ['-e', text, 'one', 'two'], { encoding: 'utf8' });
  expect(args.slice(0, 3).join(' ')).not.toMatch(/['"`]/);
  expect(execFileSync(file, args, { encoding: 'utf8' })).toBe(plain);
});
