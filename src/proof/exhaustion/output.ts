import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';

import { eventually } from '../eventually.ts';
import { attack, control, type Row } from '../finding.ts';
import type { Inside } from '../target.ts';
import type { AttackTable, Field } from './attack.ts';

/** The output of commands, which is stored on the host for later reading. */

const mebi = 1024 * 1024;
/** As output is to be kept. Not read from the product: what is not kept must not move the measure as well. */
const bounds = { each: 4 * mebi, whole: 64 * mebi } as const;
/** Together more than may be kept, each of them more than may be kept of one. */
const commands = 18;
const printed = 5 * mebi;

export const outputAttacks: AttackTable = {
  output: {
    title: 'print without end: one endless line, and command after command',
    source: 'CIS Docker 2.13; log drivers without a cap fill the disk of the host',
    run: printMuch,
  },
};

async function printMuch(field: Field): Promise<readonly Row[]> {
  const { attacker, lab } = field;
  const folder = join(lab.places.state, 'sandboxes', attacker.id, 'logs');
  let complete = 0;
  for (let nth = 0; nth < commands; nth += 1) {
    // oxlint-disable-next-line no-await-in-loop -- one at a time: it is the amount that counts
    complete += (await print(field, ways[nth % 2])).out.length === printed ? 1 : 0;
  }
  // What is too much goes when a command has ended, a moment after its caller was told.
  await eventually(async () => ((await sizesIn(folder)).whole <= bounds.whole ? true : undefined)).catch(() => undefined);
  const { greatest, whole, count } = await sizesIn(folder);
  const shown = await lab.casemate(['logs', attacker.name, '--raw']);
  const facts = (most: number, seen: number) => ({
    expected: `at most ${most / mebi} MiB`,
    seen: `${(seen / mebi).toFixed(1)} MiB`,
    ok: seen <= most,
    from: 'outside' as const,
  });
  return [
    attack(`kept of a command that prints ${printed / mebi} MiB`, facts(bounds.each, greatest)),
    attack(`kept of ${commands} such commands`, facts(bounds.whole, whole)),
    control('the commands, as their callers see them', {
      expected: 'all that they print',
      seen: `${complete} of ${commands}`,
      ok: complete === commands,
      from: 'outside',
    }),
    control('output that is kept', {
      expected: 'some',
      seen: `${count} files, ${shown.out.length} bytes are shown`,
      ok: count > 0 && shown.out.includes('xxxx'),
      from: 'outside',
    }),
  ];
}

/** Output is kept by whoever carries it: by Node, or by what does without it where the program was built. */
const ways = [{}, { CASEMATE_LONG_WAY: '1' }] as const;

async function print({ attacker, lab }: Field, env: Readonly<Record<string, string>> = {}): Promise<Inside> {
  const program = ['perl', '-e', 'print "x" x 65536 for 1 .. $ARGV[0]', String(printed / 65_536)];
  return await lab.casemate(['exec', attacker.name, '--no-tty', '--', ...program], { env });
}

async function sizesIn(folder: string) {
  const names = await readdir(folder).catch(() => []);
  const sizes = await Promise.all(names.map(async (name) => (await stat(join(folder, name)).catch(() => undefined))?.size ?? 0));
  return { greatest: Math.max(0, ...sizes), whole: sizes.reduce((sum, size) => sum + size, 0), count: names.length };
}
