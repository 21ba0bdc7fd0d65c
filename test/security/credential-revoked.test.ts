import { createServer as createHttpServer, type IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';

import { afterEach, beforeEach, expect, test } from 'vitest';
import { WebSocketServer } from 'ws';

import { CasemateError } from '../../src/base/errors.ts';
import { environmentOf } from '../../src/system/environment.ts';
import { bindPlanCredentials } from '../../src/sandbox/credentials/bind-credentials.ts';
import type { PlanCredentials } from '../../src/sandbox/credentials/plan-credentials.ts';
import type { SandboxContext } from '../../src/sandbox/context.ts';
import { parseSandboxId } from '../../src/base/ids.ts';
import {
  removeCredential,
  restoreCredential,
  revokeCredential,
  setCredential,
} from '../../src/sandbox/credential-calls/credentials.ts';
import { createLab, listen, rule, sandboxId, type Lab } from '../helpers/gateway-lab.ts';
import { ownWait } from '../helpers/own-wait.ts';
import { talk, tlsTo } from '../helpers/raw-client.ts';
import { samplePlan, sandboxLab, type Lab as SandboxLab } from '../helpers/sandbox-lab.ts';
import { sinkAt, type Respond, type Sink } from '../helpers/sink.ts';

/** SEC-16: what was revoked is cut off at once, streams that are open included; an old value goes nowhere after the switch. */

const host = 'api.example.com';
const other = 'other.example.com';
const id = parseSandboxId(sandboxId);
const first = 'first-value-0123456789';
const second = 'second-value-0123456789';

let world: SandboxLab;
let context: SandboxContext;
let credentials: PlanCredentials;
let lab: Lab;
const sinks: Sink[] = [];

beforeEach(async () => {
  world = await sandboxLab();
  await setCredential(world.context, { name: 'main', actor: 'user:1', value: first, provider: 'bearer', hosts: [host] });
  const plan = samplePlan();
  const spec = { header: undefined, variable: undefined, origin: { layer: 'user', source: 'test' } } as const;
  const source = { kind: 'stored', name: 'main' } as const;
  const planned = { rule: { name: 'main', provider: 'bearer', source, ...spec }, variables: [], hosts: [host] };
  credentials = await bindPlanCredentials(world.context, {
    plan: { ...plan, credentials: [planned] },
    sandboxId: id,
    callerEnv: environmentOf({}),
  });
});

afterEach(async () => {
  await lab.close();
  sinks.splice(0).forEach((sink) => sink.close());
  await world.remove();
});

async function open(
  more: { readonly upstream?: string; readonly resolve?: (host: string) => Promise<string[]> } = {},
): Promise<void> {
  lab = await createLab({
    rules: [
      rule(host, { credential: 'main', upstream: more.upstream }),
      rule(other, { http: [{ methods: undefined, path: '/**' }] }),
    ],
    credentials: [...credentials.bound.values()],
    gateway: more.resolve === undefined ? {} : { resolve: more.resolve },
  });
  context = { ...world.context, gateway: lab.gateway, held: new Map([[sandboxId, credentials]]) };
}

async function sink(name: string, respond?: Respond): Promise<Sink> {
  const made = await sinkAt(lab, name, 443, { onlyHttp1: true, ...(respond && { respond }) });
  sinks.push(made);
  return made;
}

const phantom = (): string => credentials.bound.get('main')?.phantom ?? '';
const revoke = (sandbox?: string) =>
  revokeCredential(context, { name: 'main', actor: 'user:1', sandbox: sandbox === undefined ? undefined : id });
const head = (name: string, line = 'GET /v1', more = ''): string =>
  `${line} HTTP/1.1\r\nHost: ${name}\r\n${name === host ? `Authorization: Bearer ${phantom()}\r\n` : ''}${more}\r\n`;

async function connect(name: string): Promise<Socket> {
  return await tlsTo(await lab.open(name, 443), name, { ca: lab.authority.certificatePem });
}

/** Waits for the end of the answer, however busy the machine is. */
async function ask(): Promise<{ readonly text: string }> {
  return await talk(await connect(host), [head(host, 'GET /v1', 'Connection: close\r\n')], { quietMs: 15_000 });
}

/** Milliseconds of this process's own until the socket is closed; `undefined`: a second later it is still open. */
async function closedAfter(socket: Socket): Promise<number | undefined> {
  let isClosed = false;
  socket.resume();
  socket.on('error', () => undefined);
  socket.once('close', () => (isClosed = true));
  for (let ms = 0; ms < 1000; ms += 10) {
    if (isClosed) {
      return ms;
    }
    await ownWait(10);
  }
  return undefined;
}

const trickle: Respond = (request, response) => {
  response.write('data: first\n\n');
  const timer = setInterval(() => response.write('data: more\n\n'), 50);
  (request as IncomingMessage).once('close', () => clearInterval(timer));
};

test('an event stream is cut within a second; the control: a stream without the credential goes on', async () => {
  await open();
  const [own, control] = await Promise.all([sink(host, trickle), sink(other, trickle)]);
  const [stream, untouched] = await Promise.all([connect(host), connect(other)]);
  stream.write(head(host));
  untouched.write(head(other));
  await Promise.all([stream, untouched].map((socket) => new Promise((resolve) => socket.once('data', resolve))));
  expect(own.seen[0]?.headers['authorization']).toBe(`Bearer ${first}`);
  expect(control.seen.length).toBe(1);
  const ends = Promise.all([closedAfter(stream), closedAfter(untouched)]);
  const answer = await revoke();
  expect(answer.cut).toBe(1);
  const [cut, kept] = await ends;
  expect(cut).toBeLessThan(1000);
  expect(kept).toBeUndefined();
  expect(lab.actions()).toContain(`net.exchange allow credential-revoked ${host}:443`);
  untouched.destroy();
});

test('an upload under way is cut within a second', async () => {
  await open();
  const own = await sink(host, () => undefined);
  const socket = await connect(host);
  socket.write(head(host, 'POST /v1', 'Transfer-Encoding: chunked\r\n'));
  const timer = setInterval(() => socket.writable && socket.write('5\r\nhello\r\n'), 20);
  await expect.poll(() => own.seen[0]?.body.length ?? 0).toBeGreaterThan(10);
  const end = closedAfter(socket);
  await revoke();
  const cut = await end;
  clearInterval(timer);
  expect(cut).toBeLessThan(1000);
  // What was on its way to the upstream by then has arrived.
  await lab.settled();
  const length = own.seen[0]?.body.length;
  await lab.settled();
  expect(own.seen[0]?.body.length).toBe(length);
});

test('a WebSocket is cut within a second', async () => {
  const web = createHttpServer();
  const server = new WebSocketServer({ server: web });
  const headers: (string | undefined)[] = [];
  server.on('connection', (_, request) => headers.push(request.headers.authorization));
  await open({ upstream: `http://127.0.0.1:${await listen(web)}` });
  const socket = await connect(host);
  const handshake =
    'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n';
  socket.write(head(host, 'GET /live', handshake));
  const answer = await new Promise<Buffer>((resolve) => socket.once('data', resolve));
  expect(answer.toString()).toContain('101 Switching Protocols');
  expect(headers).toEqual([`Bearer ${first}`]);
  const end = closedAfter(socket);
  expect((await revoke()).cut).toBe(1);
  expect(await end).toBeLessThan(1000);
  server.close();
  web.close();
});

test('what comes after says that it was revoked, until it is restored; one sandbox alone may be meant', async () => {
  await open();
  const own = await sink(host);
  await revoke('this one');
  const refused = await talk(await connect(host), [head(host)]);
  expect(refused.text).toContain('HTTP/1.1 403');
  expect(refused.text).toContain('x-casemate-denied: credential-revoked');
  expect(refused.text).toContain('was revoked on the host');
  expect(refused.text).toContain('casemate credentials restore main\n');
  expect(own.connections()).toBe(0);
  await expect(credentials.bound.get('main')?.obtain()).rejects.toMatchObject({ code: 'CREDENTIAL_REVOKED' });
  // A new value for all does not give it back to the sandbox that lost it.
  await setCredential(context, { name: 'main', actor: 'user:1', value: second, hosts: [] });
  expect((await talk(await connect(host), [head(host)])).text).toContain('403');
  expect(await restoreCredential(context, { name: 'main', actor: 'user:1', sandbox: id })).toBe(true);
  expect((await talk(await connect(host), [head(host)])).text).toContain('hello from');
  expect(own.seen.map(({ headers }) => headers['authorization'])).toEqual([`Bearer ${second}`]);
});

test('a value set anew ends a revocation for all', async () => {
  await open();
  const own = await sink(host);
  await revoke();
  expect((await talk(await connect(host), [head(host)])).text).toContain('403');
  await setCredential(context, { name: 'main', actor: 'user:1', value: second, hosts: [] });
  expect((await talk(await connect(host), [head(host)])).text).toContain('hello from');
  expect(own.seen.map(({ headers }) => headers['authorization'])).toEqual([`Bearer ${second}`]);
});

test('a sandbox whose credential was removed is cut off', async () => {
  await open();
  const own = await sink(host, trickle);
  const socket = await connect(host);
  socket.write(head(host));
  await new Promise((resolve) => socket.once('data', resolve));
  const end = closedAfter(socket);
  await removeCredential(context, { name: 'main', actor: 'user:1' });
  expect(await end).toBeLessThan(1000);
  expect((await talk(await connect(host), [head(host)])).text).toContain('credential-unavailable');
  expect(own.seen.length).toBe(1);
});

test('revoked while the line of the journal is written: nothing goes out', async () => {
  await open();
  const own = await sink(host);
  let go: () => void = () => undefined;
  lab.delayJournal(new Promise((resolve) => (go = resolve)));
  const answer = talk(await connect(host), [head(host)]);
  await expect.poll(() => lab.actions()).toContain(`net.open allow ok ${host}:443`);
  await revoke();
  go();
  expect((await answer).text).toContain('credential-revoked');
  expect(own.connections()).toBe(0);
});

test('of 20 requests under way at a rotation none sends the old value after it; all are answered', async () => {
  await open();
  const own = await sink(host);
  let go: () => void = () => undefined;
  lab.delayJournal(new Promise((resolve) => (go = resolve)));
  const answers = Promise.all(Array.from({ length: 20 }, ask));
  await expect.poll(() => lab.actions().filter((line) => line.startsWith('net.open')).length, { timeout: 30_000 }).toBe(20);
  await setCredential(context, { name: 'main', actor: 'user:1', value: second, hosts: [] });
  go();
  expect((await answers).every(({ text }) => text.includes('hello from'))).toBe(true);
  expect(new Set(own.seen.map(({ headers }) => headers['authorization']))).toEqual(new Set([`Bearer ${second}`]));
  expect(own.seen.length).toBe(20);
});

test('of 20 requests whose connection is still being opened at a rotation none sends the old value', async () => {
  let letIn: () => void = () => undefined;
  const door = new Promise<void>((resolve) => (letIn = resolve));
  await open({
    async resolve() {
      await door;
      // the address that the lab gives to the first name
      return ['93.184.216.1'];
    },
  });
  const own = await sink(host);
  const answers = Promise.all(Array.from({ length: 20 }, ask));
  await expect.poll(() => lab.actions().filter((line) => line.startsWith('net.open')).length, { timeout: 30_000 }).toBe(20);
  await setCredential(context, { name: 'main', actor: 'user:1', value: second, hosts: [] });
  letIn();
  expect((await answers).every(({ text }) => text.includes('hello from'))).toBe(true);
  expect(new Set(own.seen.map(({ headers }) => headers['authorization']))).toEqual(new Set([`Bearer ${second}`]));
  expect(own.seen.length).toBe(20);
});

test('on a full disk it is cut off all the same, and whoever asked is told that it could not be written', async () => {
  await open();
  await sink(host, trickle);
  const socket = await connect(host);
  socket.write(head(host));
  await new Promise((resolve) => socket.once('data', resolve));
  const end = closedAfter(socket);
  const full = { ...context.journal, append: () => Promise.reject(new CasemateError('JOURNAL_UNWRITABLE', 'no space left')) };
  const asked = revokeCredential({ ...context, journal: full }, { name: 'main', actor: 'user:1', sandbox: undefined });
  await expect(asked).rejects.toThrow('is cut off now, but that could not be written down: no space left');
  expect(await end).toBeLessThan(1000);
  expect((await ask()).text).toContain('x-casemate-denied: credential-revoked');
});

test('a value that is removed and set anew does not come back to the sandbox that lost it', async () => {
  await open();
  const own = await sink(host);
  await revoke('this one');
  await removeCredential(context, { name: 'main', actor: 'user:1' });
  await setCredential(context, { name: 'main', actor: 'user:1', value: second, provider: 'bearer', hosts: [host] });
  expect((await ask()).text).toContain('x-casemate-denied: credential-revoked');
  expect(own.seen.length).toBe(0);
});

test('a change that could not be written is on record as failed, too', async () => {
  await open();
  const refuse = async (): Promise<never> => Promise.reject(new CasemateError('STORE_FAILED', 'no space left'));
  const full = { ...context, sealed: { ...context.sealed, put: refuse, remove: refuse } };
  const set = setCredential(full, { name: 'main', actor: 'user:1', value: second, hosts: [] });
  await expect(set).rejects.toThrow('no space left');
  await expect(removeCredential(full, { name: 'main', actor: 'user:1' })).rejects.toThrow('no space left');
  const said = world.journal().filter((line) => line.startsWith('credential.'));
  expect(said).toEqual([
    'credential.set ok',
    'credential.rotate ok',
    'credential.rotate failed',
    'credential.remove ok',
    'credential.remove failed',
  ]);
});
