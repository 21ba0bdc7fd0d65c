import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { openJournal } from '../../src/journal/open-journal.ts';
import { renderRecord } from '../../src/journal/render.ts';
import { run } from '../../src/system/process.ts';
import { journalFolder, type JournalFolder } from '../helpers/journal-folder.ts';
import { entryOf } from '../helpers/journal-log.ts';

/** Promise: nothing a sandbox put into a record drives the terminal of whoever reads the journal. (Attack catalogue: AUD-01, AUD-03.) */

const attack =
  '\u001b]52;c;dG91Y2ggTUFSSw==\u0007\u001b]0;t\u0007\u001b[2J\u001b[8m\u001b]8;;http://x\u0007Y\u001b]8;;\u0007\u001bP$q"p\u001b\\\u001b[21t' +
  '\u009b31m\u009b2J\r\u001b[1A\u202e\u2066\u200b\u2028\n{"seq":999,"decision":"allow"}\u007f\ufeff';

// Every byte a terminal acts on, save the line feed between records.
const driving = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u200b-\u200f\u2028\u2029\u202a-\u202e\u2060-\u2069\ufeff]/;

let place: JournalFolder;

beforeAll(async () => {
  place = await journalFolder();
  const journal = await openJournal(place);
  await journal.append({
    ...entryOf(1),
    subject: attack,
    actor: attack,
    sandbox: attack,
    rule: attack,
    outcome: attack,
    credential: attack,
    policy: attack,
    detail: { path: attack },
  });
  await journal.close();
});

afterAll(async () => {
  await place[Symbol.asyncDispose]();
});

async function casemate(args: readonly string[]): Promise<string> {
  const program = join(import.meta.dirname, '../../src/cli/main.ts');
  const env = { CASEMATE_HOME: place.root, PATH: '/usr/bin:/bin', HOME: place.root };
  const { stdout, stderr, exitCode } = await run(process.execPath, [program, 'journal', ...args], { env, timeoutMs: 50_000 });
  expect(exitCode, stderr.toString()).toBe(0);
  return stdout.toString() + stderr.toString();
}

describe('text of a sandbox in the journal', () => {
  test.each([
    [['tail']],
    [['tail', '--json']],
    [['query', '--action', 'net.']],
    [['query', '--json']],
    [['export']],
    [['export', '--format', 'csv']],
    [['verify']],
  ])('does not reach the terminal raw through %j', async (args) => {
    const shown = await casemate(args);
    expect(shown.replaceAll('\r\n', '\n')).not.toMatch(driving);
    expect(shown).not.toContain('\n{"seq":999');
  });

  test('is one record, with its exact value in JSON', async () => {
    const shown = await casemate(['query', '--action', 'net.', '--json']);
    expect(
      shown
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line).subject),
    ).toEqual([attack]);
  });

  test('is not taken for colour where colours are on', () => {
    const record = { ...entryOf(1), subject: attack, seq: 1, time: attack, previous: '' };
    expect(renderRecord(record, { colours: 'on' }).replaceAll(/\u001b\[(?:2|22|31|32|39)m/g, '')).not.toMatch(driving);
  });
});
