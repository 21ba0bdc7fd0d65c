import { createServer } from 'node:net';
import { request } from 'node:http';

import { afterEach, describe, expect, test } from 'vitest';

import { parseHost } from '../../src/base/host.ts';
import { createAsks, type Asks } from '../../src/gateway/asks/asks.ts';
import type { AskView } from '../../src/gateway/asks/question.ts';
import { learnLimits } from '../../src/gateway/exchange/learn.ts';
import { grantRule } from '../../src/policy/proposing/grant-rule.ts';
import type { LearnMode } from '../../src/policy/proposing/learning.ts';
import type { NetworkRule } from '../../src/policy/policy.ts';
import { createLab, credential, listen, phantom, rule, sandboxId, type Lab, type LabOptions } from '../helpers/gateway-lab.ts';
import { rawConnect, talk } from '../helpers/raw-client.ts';
import { sinkAt, type Sink } from '../helpers/sink.ts';

let lab: Lab;
let asks: Asks;
const open: { close: () => unknown }[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((one) => one.close()));
});

/** Longer than any test takes on a busy machine: what is to end sooner says so itself. */
const settings = { waitMs: 50_000, when: 'always' } as const;
interface AskingOptions {
  readonly rules?: readonly NetworkRule[];
  readonly bound?: readonly NetworkRule[];
  readonly waitMs?: number;
  readonly more?: Partial<LabOptions>;
}

async function asking({ rules = [], bound, waitMs = settings.waitMs, more = {} }: AskingOptions = {}): Promise<void> {
  asks = createAsks();
  lab = await createLab({
    rules,
    ...more,
    gateway: { asks, ...more.gateway },
    sandbox: { asks: { settings: { ...settings, waitMs }, bound, refused: [] } },
  });
  open.push(lab);
}

async function upstream(host: string): Promise<Sink> {
  const sink = await sinkAt(lab, host, 80, { plain: true });
  open.push(sink);
  return sink;
}

interface Answer {
  readonly status: number;
  readonly text: string;
}

async function ask(
  host: string,
  path: string,
  options: { method?: string; body?: string; headers?: Record<string, string> } = {},
): Promise<Answer> {
  const port = await lab.open(host, 80);
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const sent = request(
    {
      port,
      host: '127.0.0.1',
      path,
      method: options.method ?? 'GET',
      headers: { host, ...lengthOf(options.body), ...options.headers },
      agent: false,
    },
    (answer) => {
      let text = '';
      answer.on('data', (piece) => (text += String(piece)));
      answer.on('end', () => resolve({ status: answer.statusCode ?? 0, text }));
    },
  );
  sent.on('error', reject);
  sent.end(options.body);
  return promise;
}

function lengthOf(body: string | undefined): Record<string, string> {
  return body === undefined ? {} : { 'content-length': String(body.length) };
}

async function waiting(count = 1): Promise<readonly AskView[]> {
  for (let round = 0; round < 2000; round += 1) {
    const views = asks.list().filter(({ state }) => state === 'waiting');
    if (views.length >= count) {
      return views;
    }
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error(`only ${asks.list().length} wait`);
}
const first = async (): Promise<AskView> => (await waiting())[0] as AskView;

describe('a request that the rules deny', () => {
  test('is neither resolved nor dialled while it waits, and goes out once with a yes', async () => {
    await asking();
    const sink = await upstream('new.example.com');
    const answer = ask('new.example.com', '/x?q=1', { method: 'POST', body: 'content' });
    const view = await first();
    expect([lab.lookups, lab.dials, sink.seen]).toEqual([[], [], []]);
    expect(view).toMatchObject({ method: 'POST', target: '/x?q=1', contentBytes: 7, reason: 'host-not-allowed' });
    asks.claim(view.id).allowOnce();
    expect(await answer).toMatchObject({ status: 200 });
    expect(sink.seen).toMatchObject([{ method: 'POST', url: '/x?q=1', body: 'content' }]);
    await lab.settled();
    expect(lab.entries).toContainEqual(expect.objectContaining({ action: 'net.open', rule: `approval:${view.id}` }));
  });

  test('goes out once and no second time', async () => {
    await asking();
    const sink = await upstream('new.example.com');
    const answer = ask('new.example.com', '/x');
    asks.claim((await first()).id).allowOnce();
    expect((await answer).status).toBe(200);
    const again = ask('new.example.com', '/x');
    asks.claim((await first()).id).deny('while');
    expect((await again).status).toBe(403);
    expect(sink.seen).toHaveLength(1);
  });

  test('is refused with a no, and the same again at once', async () => {
    await asking();
    const sink = await upstream('new.example.com');
    const answer = ask('new.example.com', '/x');
    asks.claim((await first()).id).deny('while');
    expect(await answer).toMatchObject({ status: 403, text: expect.stringContaining('A person was asked and has refused this') });
    const startedMs = performance.now();
    expect((await ask('new.example.com', '/x')).status).toBe(403);
    expect(performance.now() - startedMs).toBeLessThan(settings.waitMs / 2);
    expect(sink.seen).toEqual([]);
  });

  test('is refused when time is up, with the id to allow it by later', async () => {
    await asking({ waitMs: 200 });
    const answer = await ask('new.example.com', '/x');
    expect(answer.status).toBe(403);
    const [view] = asks.list();
    expect(answer.text).toContain(`casemate approve ${view?.id}`);
    await lab.settled();
    expect(lab.actions().filter((line) => line.startsWith('net.ask'))).toEqual([
      'net.ask none waiting new.example.com:80',
      'net.ask none no-answer new.example.com:80',
    ]);
    expect(lab.lastDenial()).toMatchObject({ detail: { ask: view?.id }, outcome: 'host-not-allowed' });
  });

  test('goes on by itself when rules are put in force that allow it', async () => {
    await asking();
    await upstream('new.example.com');
    const answer = ask('new.example.com', '/x');
    const view = await first();
    const grant = grantRule([], { host: parseHost('new.example.com'), port: 80, method: 'GET', path: '/x' }, { id: 'added' });
    const rules = 'rule' in grant ? [grant.rule] : [];
    lab.gateway.update(sandboxId, { rules, policyHash: 'e'.repeat(64) });
    asks.recheck(sandboxId, ({ path }) => path === view.path);
    expect((await answer).status).toBe(200);
  });

  test('of a function that no rule allows keeps the credential of its host', async () => {
    await asking({
      rules: [rule('keyed.example.com', { ports: [80], credential: 'anthropic', http: [{ methods: ['GET'], path: '/ok' }] })],
      more: { credentials: [credential()] },
    });
    const answer = ask('keyed.example.com', '/other', { headers: { 'x-api-key': phantom } });
    const view = await first();
    expect(view).toMatchObject({ credential: 'anthropic', reason: 'function-not-allowed' });
    asks.claim(view.id).allowOnce();
    // In the clear a credential is not sent, approved or not.
    expect((await answer).text).toContain('credential-needs-tls');
  });
});

describe('nobody is asked about', () => {
  test.each([
    ['a wrong authority', { host: 'other.example.com' }],
    ['an unknown expectation', { expect: 'something' }],
  ])('%s', async (_, headers) => {
    await asking();
    expect((await ask('new.example.com', '/x', { headers })).status).toBeGreaterThanOrEqual(400);
    expect(asks.list()).toEqual([]);
  });

  test('what the organisation does not allow', async () => {
    await asking({ bound: [rule('fine.example.com', { ports: [80] })] });
    expect((await ask('new.example.com', '/x')).text).toContain('The policy of the organisation does not allow it');
    expect(asks.list()).toEqual([]);
    const answer = ask('fine.example.com', '/x');
    asks.claim((await first()).id).deny('while');
    expect((await answer).status).toBe(403);
  });

  test('a private address behind an approved name: it is refused when it is dialled', async () => {
    await asking({ more: { gateway: { resolve: async () => ['169.254.169.254'] } } });
    const answer = ask('rebind.example.com', '/latest/meta-data');
    asks.claim((await first()).id).allowOnce();
    expect((await answer).text).toContain('address-refused');
    expect(lab.dials).toEqual([]);
  });
});

test(
  'a thousand denied requests at once stay within the bounds, and an allowed host is still served',
  { timeout: 120_000 },
  async () => {
    await asking({ rules: [rule('ok.example.com', { ports: [80] })], waitMs: 4000 });
    await upstream('ok.example.com');
    const port = await lab.open('new.example.com', 80);
    const before = process.memoryUsage().rss;
    const startedMs = performance.now();
    const answers = await Promise.all([
      ...Array.from({ length: 1000 }, async (_, index) => {
        const socket = await rawConnect(port);
        return (
          await talk(socket, [`GET /${index} HTTP/1.1\r\nhost: new.example.com\r\nconnection: close\r\n\r\n`], { quietMs: 8000 })
        ).text.slice(9, 12);
      }),
      ask('ok.example.com', '/y').then(({ status }) => String(status)),
    ]);
    expect(answers.at(-1)).toBe('200');
    expect(new Set(answers.slice(0, -1)).has('200')).toBe(false);
    expect(asks.list().length).toBeLessThanOrEqual(64);
    // Two lines for each that waited, sixteen of them at a time.
    const rounds = Math.ceil((performance.now() - startedMs) / 4000);
    expect(lab.entries.filter(({ action }) => action === 'net.ask').length).toBeLessThanOrEqual(32 * rounds);
    expect(process.memoryUsage().rss - before).toBeLessThan(200 * 1024 * 1024);
  },
);

describe('a connection that is no HTTP', () => {
  test('is held with nothing dialled, and goes through with a yes', async () => {
    await asking({ rules: [rule('db.example.com', { ports: [5432] })] });
    const server = createServer((socket) => socket.on('error', () => undefined).end('welcome'));
    lab.route('other.example.com', 5432, await listen(server));
    open.push(server);
    const socket = await rawConnect(await lab.open('other.example.com', 5432));
    const view = await first();
    expect([view.scheme, view.method, lab.dials]).toEqual(['tcp', undefined, []]);
    const heard = talk(socket, [], { quietMs: 2000 });
    asks.claim(view.id).allowOnce();
    expect((await heard).text).toBe('welcome');
  });

  test('is reset with a no', async () => {
    await asking({ rules: [rule('db.example.com', { ports: [5432] })] });
    const socket = await rawConnect(await lab.open('other.example.com', 5432));
    const heard = talk(socket, ['hello'], { quietMs: 2000 });
    asks.claim((await first()).id).deny('while');
    expect((await heard).end).toBe('reset');
    expect(lab.dials).toEqual([]);
  });
});

describe('a sandbox that is learned from', () => {
  async function learning(
    mode: LearnMode,
    more: { bound?: readonly NetworkRule[]; rules?: readonly NetworkRule[] } = {},
  ): Promise<Sink> {
    lab = await createLab({
      rules: more.rules ?? [],
      sandbox: { learn: { setting: { mode, known: 'as-learned' }, bound: more.bound } },
    });
    open.push(lab);
    return upstream('new.example.com');
  }

  test('reads from the world, without content, cookies and keys', async () => {
    const sink = await learning('reads');
    const headers = { authorization: 'Bearer abc', cookie: 'a=b', 'x-data': 'secret', accept: '*/*', 'user-agent': 'test' };
    expect((await ask('new.example.com', '/x?q', { headers, body: 'content' })).status).toBe(200);
    const [seen] = sink.seen;
    expect(seen).toMatchObject({ method: 'GET', url: '/x?q', body: '' });
    expect(Object.keys(seen?.headers ?? {}).toSorted()).toEqual(expect.arrayContaining(['accept', 'host', 'user-agent']));
    expect(JSON.stringify(seen)).not.toMatch(/Bearer|a=b|secret|content"/);
  });

  test.each(['POST', 'PUT', 'DELETE', 'PATCH'])('is told 202 for %s, which goes nowhere and is on record', async (method) => {
    const sink = await learning('reads');
    expect(await ask('new.example.com', '/items', { method, body: 'content' })).toEqual({ status: 202, text: '{}\n' });
    expect([sink.seen, lab.dials]).toEqual([[], []]);
    await lab.settled();
    expect(lab.lastDenial()).toMatchObject({ rule: 'learn:write', outcome: 'learned-only', detail: { method, path: '/items' } });
  });

  test('also where the policy allows to write', async () => {
    const sink = await learning('reads', { rules: [rule('new.example.com', { ports: [80] })] });
    expect((await ask('new.example.com', '/items', { method: 'POST', body: 'x' })).status).toBe(202);
    expect(sink.seen).toEqual([]);
  });

  test('opens no WebSocket, which would be a channel without bounds', async () => {
    const sink = await learning('reads');
    const headers = {
      connection: 'Upgrade',
      upgrade: 'websocket',
      'sec-websocket-key': 'AAAAAAAAAAAAAAAAAAAAAA==',
      'sec-websocket-version': '13',
    };
    expect((await ask('new.example.com', '/socket', { headers })).status).toBe(202);
    expect([sink.seen, lab.dials]).toEqual([[], []]);
  });

  test('clones with git, whose questions count against the bound', async () => {
    const sink = await learning('reads');
    const path = '/owner/name.git/git-upload-pack';
    const headers = { 'content-type': 'application/x-git-upload-pack-request' };
    const body = 'x'.repeat(60 * 1024);
    const statuses: number[] = [];
    for (let index = 0; index < 6; index += 1) {
      statuses.push((await ask('new.example.com', path, { method: 'POST', headers, body })).status);
    }
    expect(statuses).toEqual([200, 200, 200, 200, 202, 202]);
    expect(sink.seen).toHaveLength(4);
  });

  test('sends nothing at all when it is closed', async () => {
    const sink = await learning('closed');
    expect((await ask('new.example.com', '/x')).status).toBe(202);
    expect([sink.seen, lab.lookups]).toEqual([[], []]);
  });

  test('writes where that is asked for', async () => {
    const sink = await learning('writes');
    expect((await ask('new.example.com', '/items', { method: 'POST', body: 'content' })).status).toBe(200);
    expect(sink.seen).toMatchObject([{ method: 'POST', body: 'content' }]);
  });

  test('sends no more than a bounded amount, and no long path', async () => {
    const sink = await learning('reads');
    expect((await ask('new.example.com', `/${'x'.repeat(learnLimits.targetBytes)}`)).status).toBe(202);
    const long = `/${'y'.repeat(2000)}`;
    for (let index = 0; index < 150; index += 1) {
      await ask('new.example.com', `${long}${index}`);
    }
    const sent = sink.seen.reduce((sum, { url }) => sum + url.length, 0);
    expect(sent).toBeGreaterThan(learnLimits.bytes / 2);
    expect(sent).toBeLessThanOrEqual(learnLimits.bytes);
  });

  test('does not go beyond the organisation', async () => {
    const sink = await learning('writes', { bound: [rule('fine.example.com', { ports: [80] })] });
    expect((await ask('new.example.com', '/x')).status).toBe(202);
    expect(sink.seen).toEqual([]);
    await lab.settled();
    expect(lab.lastDenial()).toMatchObject({ rule: 'learn:beyond-bound' });
  });

  test('reaches no port that is not of the web', async () => {
    await learning('writes', { rules: [rule('db.example.com', { ports: [5432] })] });
    const socket = await rawConnect(await lab.open('db.example.com', 5432));
    expect((await talk(socket, ['hello'])).end).toBe('reset');
    expect(lab.dials).toEqual([]);
    await lab.settled();
    expect(lab.lastDenial()).toMatchObject({ rule: 'learn:connection', subject: 'db.example.com:5432' });
  });
});
