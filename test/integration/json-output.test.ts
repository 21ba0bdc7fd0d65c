/** Every command that prints has `--json`: valid JSON on standard output, or one error object on standard error. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { commands } from '../../src/cli/commands.ts';
import { makeHome, type Home } from '../helpers/cli.ts';

/** what passes bytes through, and a script whose form is the shell's */
const withoutJson = ['run', 'exec', 'shell', 'completion', 'mcp', 'mcp serve'];

/** A call of each command that ends at once on any machine, and the exit code it ends with where that is not 0. */
const samples: Readonly<Record<string, readonly [args: readonly string[], code?: number]>> = {
  create: [['No/Good'], 2],
  start: [['nobody'], 2],
  stop: [['nobody'], 2],
  restart: [['nobody'], 2],
  destroy: [['nobody'], 2],
  reap: [['--dry-run']],
  cp: [['nobody'], 2],
  ls: [[]],
  inspect: [['nobody'], 2],
  logs: [['nobody'], 2],
  stats: [['nobody'], 2],
  plan: [[]],
  'policy check': [[]],
  'policy explain': [['example.com']],
  'policy schema': [[]],
  'policy trust': [[]],
  'policy propose': [['example.com']],
  'agent ls': [[]],
  'agent show': [['claude']],
  'agent check': [['no-such-file.yaml'], 2],
  'agent schema': [[]],
  learn: [['--no-such-option'], 2],
  usage: [[]],
  requests: [[]],
  approve: [['nothing'], 2],
  deny: [['nothing'], 2],
  'snapshot take': [['nobody'], 2],
  'snapshot ls': [['nobody'], 2],
  'snapshot restore': [['nobody', 'sn-0123456789abcdef'], 2],
  'snapshot rm': [['nobody', 'sn-0123456789abcdef'], 2],
  'credentials set': [['No/Good'], 2],
  'credentials ls': [[]],
  'credentials test': [['nobody'], 2],
  'credentials rotate': [['nobody'], 2],
  'credentials revoke': [['nobody'], 2],
  'credentials restore': [['nobody'], 2],
  'credentials rm': [['nobody'], 2],
  login: [['nobody'], 2],
  logout: [['nobody'], 2],
  'image build': [['no-such-recipe'], 2],
  'image ls': [[]],
  'image show': [['nothing'], 2],
  'image verify': [['nothing'], 2],
  'image rm': [['nothing'], 2],
  'journal tail': [['--lines', '1']],
  'journal query': [['--limit', '1']],
  'journal verify': [[]],
  'journal export': [['--limit', '1'], 2],
  prove: [['--profile', 'no-such-profile'], 2],
  tour: [['--no-such-option'], 2],
  setup: [['--image', 'no-such-recipe'], 2],
  doctor: [['--no-such-option'], 2],
  'caller add': [['nobody'], 2],
  'caller ls': [[]],
  'caller revoke': [['nobody'], 2],
  'daemon status': [[]],
  'daemon stop': [[]],
};

describe('--json', () => {
  let home: Home;

  beforeAll(async () => {
    home = await makeHome();
  });

  afterAll(async () => {
    await home.remove();
  });

  it('is there for every command that prints', () => {
    const lacking = Object.entries(commands).filter(
      ([name, row]) => !withoutJson.includes(name) && !row.options.some((option) => option.name === 'json'),
    );
    expect(lacking.map(([name]) => name)).toEqual([]);
    expect(Object.keys(samples).toSorted()).toEqual(
      Object.keys(commands)
        .filter((name) => !withoutJson.includes(name))
        .toSorted(),
    );
  });

  it.each(Object.entries(samples))('is kept to by %s', async (name, [args, code = 0]) => {
    const outcome = await home.casemate([...name.split(' '), ...args, '--json'], { timeoutMs: 30_000 });
    expect({ code: outcome.code, err: outcome.err }).toMatchObject({ code });
    if (code === 0) {
      // Records are one object a line.
      const texts = name.startsWith('journal') ? outcome.out.split('\n').filter((line) => line !== '') : [outcome.out];
      expect(texts.map((text) => typeof JSON.parse(text))).toEqual(texts.map(() => 'object'));
    } else {
      expect(outcome.out).toBe('');
      const lines = outcome.err.trimEnd().split('\n');
      expect(JSON.parse(lines.at(-1) ?? '')).toMatchObject({
        error: { code: expect.stringMatching(/^[A-Z_]+$/), message: expect.any(String) },
      });
    }
  });

  it('is told in the same form what nobody approved', async () => {
    await writeFile(join(home.project, 'casemate.yaml'), 'version: 1\nnetwork:\n  - host: one.example.com\n');
    const refused = await home.casemate(['policy', 'trust', '--json']);
    expect(refused).toMatchObject({ code: 2, out: '' });
    expect(JSON.parse(refused.err)).toMatchObject({ error: { code: 'POLICY_UNTRUSTED', hint: expect.any(String) } });
    expect(await home.casemate(['policy', 'trust', '--yes', '--json'])).toMatchObject({ code: 0, err: '' });
    expect(JSON.parse((await home.casemate(['policy', 'trust', '--json'])).out)).toMatchObject({ approved: true });
  });

  it('lists what a destroy would remove, and removes nothing that was not confirmed by name', async () => {
    const images: readonly unknown[] = JSON.parse((await home.casemate(['image', 'ls', '--json'])).out);
    if (images.length === 0) {
      process.stderr.write('SKIP destroy: no image is built here\n');
      return;
    }
    expect(JSON.parse((await home.casemate(['create', 'work', '--json'])).out)).toMatchObject({ name: 'work', state: 'created' });
    expect(JSON.parse((await home.casemate(['destroy', 'work', '--dry-run', '--json'])).out)).toMatchObject({
      alreadyGone: false,
    });
    const refused = await home.casemate(['destroy', 'work', '--confirm', 'wrk', '--json']);
    expect(JSON.parse(refused.err)).toMatchObject({ error: { code: 'CONFIRMATION_MISSING' } });
    expect(JSON.parse((await home.casemate(['destroy', 'work', '--confirm', 'work', '--json'])).out)).toMatchObject({
      name: 'work',
      alreadyGone: false,
    });
  });

  it('is not needed for help: a family alone shows its commands and ends with 2', async () => {
    expect(await home.casemate(['policy'])).toMatchObject({ code: 2, out: '', err: expect.stringContaining('policy check') });
    for (const args of [
      ['policy', '--help'],
      ['help', 'policy'],
      ['help', 'run'],
      ['run', '--help'],
      ['run', '--no-such', '-h'],
      [],
    ]) {
      expect(await home.casemate(args)).toMatchObject({ code: 0, out: expect.stringContaining('Usage: casemate'), err: '' });
    }
    expect(await home.casemate(['policy', 'chek'])).toMatchObject({
      code: 2,
      err: expect.stringContaining('casemate policy check?'),
    });
  });
});
