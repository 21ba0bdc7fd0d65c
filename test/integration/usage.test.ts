import { afterAll, beforeAll, expect, test } from 'vitest';

import { journalPlace } from '../../src/journal/journal-place.ts';
import { openJournal } from '../../src/journal/open-journal.ts';
import { systemClock } from '../../src/system/clock.ts';
import { makeHome, type Home } from '../helpers/cli.ts';

/** `casemate usage` on a journal as a daemon leaves it. */

const hourMs = 3_600_000;
let home: Home;

beforeAll(async () => {
  home = await makeHome();
  const at = { ms: Date.now() - 5 * hourMs };
  const clock = { ...systemClock, nowMs: () => at.ms };
  const journal = await openJournal({ ...journalPlace(home.paths), clock });
  const exchange = async (sandbox: string, detail: Readonly<Record<string, string | number | boolean>>): Promise<void> => {
    const common = { actor: 'sandbox', subject: 'api.anthropic.com:443', decision: 'allow', outcome: 'ok' } as const;
    await journal.append({ ...common, sandbox, action: 'net.exchange', detail });
  };
  for (const [sandbox, name] of [
    ['cm-1111111111111111', 'work'],
    ['cm-2222222222222222', 'other'],
  ] as const) {
    await journal.append({ sandbox, actor: 'user:1', action: 'sandbox.create', subject: name, decision: 'none', outcome: 'ok' });
  }
  const detail = { model: 'claude-x', account: 'anthropic', inputTokens: 1000, outputTokens: 20 };
  await exchange('cm-1111111111111111', { ...detail, spendMicros: 250_000 });
  at.ms = Date.now();
  await exchange('cm-1111111111111111', { ...detail, spendMicros: 500_000, cacheReadTokens: 3 });
  await exchange('cm-2222222222222222', { model: 'new-model', inputTokens: 7, priceUnknown: true });
  await journal.close();
});

afterAll(() => home.remove());

test('rows by sandbox, credential and model, with what is an estimate marked and the total below', async () => {
  const { code, out, err } = await home.casemate(['usage']);
  expect({ code, err }).toEqual({ code: 0, err: '' });
  const lines = out.trimEnd().split('\n');
  expect(lines[0]).toMatch(/^SANDBOX +CREDENTIAL +MODEL +REQUESTS +INPUT +CACHE READ +CACHE WRITE +OUTPUT +SPEND$/);
  expect(lines[1]).toMatch(/^work +anthropic +claude-x +2 +2000 +3 +0 +40 +\$0\.7500$/);
  expect(lines[2]).toMatch(/^other +- +new-model +1 +7 +0 +0 +0 +\$0\.0000\*$/);
  expect(lines.slice(3)).toEqual(['* estimated: a price or a count of tokens is not known', 'total $0.7500']);
});

test('--json, --sandbox and --since choose; the name of a sandbox may be older than the time', async () => {
  const { out } = await home.casemate(['usage', '--json', '--since', '1h', '--sandbox', 'work']);
  expect(JSON.parse(out)).toMatchObject([{ sandbox: 'work', requests: 1, spendMicros: 500_000, isEstimated: false }]);
  const all = JSON.parse((await home.casemate(['usage', '--json'])).out) as readonly { sandbox: string }[];
  expect(all.map(({ sandbox }) => sandbox)).toEqual(['work', 'other']);
});

test('what cannot be read is one line and code 2; without use it says so', async () => {
  expect(await home.casemate(['usage', '--since', 'sometime'])).toMatchObject({ code: 2, out: '' });
  expect(await home.casemate(['usage', 'work'])).toMatchObject({ code: 2, out: '' });
  const none = await home.casemate(['usage', '--since', '2099-01-01T00:00:00Z']);
  expect(none).toMatchObject({ code: 0, out: 'no model was used\n' });
});

test('no daemon is started for it', async () => {
  const { out } = await home.casemate(['daemon', 'status', '--json']);
  expect(JSON.parse(out)).toMatchObject({ daemon: null });
});
