import { hash } from 'node:crypto';
import { readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { verifyBundle } from '../../journal/bundle.ts';
import { attack, control, type Row } from '../finding.ts';

/**
 * An evidence bundle of a journal, changed in every way that someone with write access could, and given to the verifier each
 * time. It must detect every change, and none in the bundle as it was exported.
 */

/** Positions at which one bit is turned: every byte of a line, and spread over the whole file. */
const flips = 300;

export async function tamperRows(folder: string): Promise<readonly Row[]> {
  const name = (await readdir(folder))
    .filter((file) => file.startsWith('journal-'))
    .toSorted()
    .at(-1);
  if (name === undefined) {
    throw new Error('the bundle holds no journal');
  }
  const path = join(folder, name);
  const whole = await readFile(path);
  const isValid = async (bytes: Uint8Array): Promise<boolean> => {
    await writeFile(path, bytes);
    return (await verifyBundle(folder)).valid;
  };
  const before = await isValid(whole);
  const rows = [await flipRow(whole, isValid)];
  for (const [what, changed] of Object.entries(changesOf(whole))) {
    // oxlint-disable-next-line no-await-in-loop -- one file, one change after the other
    rows.push(changeRow(what, await isValid(changed)));
  }
  const after = await isValid(whole);
  return [
    ...rows,
    control('the bundle as it was exported', {
      expected: 'valid',
      seen: before && after ? 'valid' : 'not valid',
      ok: before && after,
      from: 'outside',
    }),
  ];
}

function changeRow(what: string, valid: boolean): Row {
  return attack(what, { expected: 'found', seen: valid ? 'called valid' : 'found', ok: !valid, from: 'outside' });
}

async function flipRow(whole: Buffer, isValid: (bytes: Uint8Array) => Promise<boolean>): Promise<Row> {
  const step = Math.max(1, Math.floor(whole.length / flips));
  let tried = 0;
  const missed: number[] = [];
  for (let at = 0; at < whole.length; at += step) {
    const changed = Buffer.from(whole);
    changed[at] = (changed[at] ?? 0) ^ (1 << (tried % 8));
    tried += 1;
    // oxlint-disable-next-line no-await-in-loop -- one file, one change after the other
    if (await isValid(changed)) {
      missed.push(at);
    }
  }
  return attack('one bit turned, anywhere', {
    expected: `${tried} of ${tried} found`,
    seen: `${tried - missed.length} of ${tried} found`,
    ok: missed.length === 0 && tried > 0,
    from: 'outside',
  });
}

/** What was changed, and the file after it. Lines are told apart by their line feeds alone. */
function changesOf(whole: Buffer): Readonly<Record<string, Buffer>> {
  const lines = whole.toString('utf8').split('\n').slice(0, -1);
  const middle = Math.floor(lines.length / 2);
  const text = (changed: readonly string[]): Buffer => Buffer.from(changed.map((line) => `${line}\n`).join(''));
  const without = (from: number, count: number): readonly string[] => [...lines.slice(0, from), ...lines.slice(from + count)];
  return {
    'a record taken out of the middle': text(without(middle, 1)),
    'the first record taken out': text(without(0, 1)),
    'two records in the other order': text([
      ...lines.slice(0, middle),
      lines[middle + 1] ?? '',
      lines[middle] ?? '',
      ...lines.slice(middle + 2),
    ]),
    'a record written twice': text([...lines.slice(0, middle + 1), ...lines.slice(middle)]),
    'the last record cut off': text(lines.slice(0, -1)),
    'the last half cut off': text(lines.slice(0, middle)),
    'cut off after the last checkpoint but one': text(lines.slice(0, beforeLastCheckpoint(lines))),
    'everything cut off': Buffer.alloc(0),
    'a decision changed and every hash computed again': text(rechained(lines, middle)),
  };
}

function beforeLastCheckpoint(lines: readonly string[]): number {
  const checkpoints = lines.flatMap((line, index) => (line.includes('"journal.checkpoint"') ? [index] : []));
  return (checkpoints.at(-2) ?? 0) + 1;
}

/** What anybody without the signing key can do: say something else and make the chain fit again. */
function rechained(lines: readonly string[], from: number): readonly string[] {
  const changed = [...lines];
  changed[from] = (changed[from] ?? '').replace(/"outcome":"[^"]*"/, '"outcome":"forged"');
  for (let index = from + 1; index < changed.length; index += 1) {
    const previous = hash('sha256', changed[index - 1] ?? '', 'hex');
    changed[index] = (changed[index] ?? '').replace(/"previous":"[0-9a-f]{64}"/, `"previous":"${previous}"`);
  }
  return changed;
}
