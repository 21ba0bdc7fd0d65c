/** GWP-19, GWP-28: what a caller may try in the TLS that the gateway opens. */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { connect as tlsConnect } from 'node:tls';

import { afterAll, beforeAll, expect, test } from 'vitest';

import { createLab, credential, rule, sandboxId, type Lab } from '../helpers/gateway-lab.ts';
import { talk, tlsTo } from '../helpers/raw-client.ts';
import { sinkAt, type Sink } from '../helpers/sink.ts';

const host = 'mitm.example.com';
const get = `GET /a HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`;
let lab: Lab;
let sink: Sink;
let port: number;
let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'tls-tricks-'));
  lab = await createLab({
    rules: [host, 'late.example.com'].map((name) => rule(name, { credential: 'anthropic' })),
    credentials: [credential()],
  });
  sink = await sinkAt(lab, host, 443);
  port = await lab.open(host, 443);
});
afterAll(async () => {
  await lab.close();
  sink.close();
  rmSync(folder, { recursive: true });
});

const open = (alpn?: string[]) =>
  tlsTo(port, host, { ca: lab.authority.certificatePem, ...(alpn === undefined ? {} : { alpn }) });

test('the control: without a protocol asked for it is HTTP/1.1', async () => {
  const socket = await open();
  expect(socket.alpnProtocol).toBe(false);
  expect((await talk(socket, [get])).text).toMatch(/^HTTP\/1\.1 200 /);
});

test.each([['spdy/3.1'], ['h2c'], ['http/0.9'], ['acme-tls/1']])('the protocol %s alone is not spoken', async (protocol) => {
  const before = sink.connections();
  await expect(open([protocol])).rejects.toThrow();
  expect(sink.connections()).toBe(before);
});

test('what is agreed on is what is spoken: HTTP/1.1 under h2, and HTTP/2 under http/1.1, are not understood', async () => {
  const before = sink.seen.length;
  expect((await talk(await open(['h2']), [get])).text).not.toContain('200');
  expect((await talk(await open(['http/1.1']), ['PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0'])).text).toMatch(
    /^HTTP\/1\.1 400 |^$/,
  );
  expect(sink.seen).toHaveLength(before);
});

test('the second of two protocols is chosen where the first is unknown', async () => {
  expect((await open(['foo', 'http/1.1'])).alpnProtocol).toBe('http/1.1');
});

/** Bytes and files in, all that it says out; `undefined` where there is no such program. */
function openssl(args: readonly string[], input: string): Promise<string | undefined> {
  const { promise, resolve } = Promise.withResolvers<string | undefined>();
  const child = execFile('openssl', args, { timeout: 25_000 }, (error, stdout, stderr) =>
    resolve(error !== null && 'code' in error && error.code === 'ENOENT' ? undefined : stdout + stderr),
  );
  child.stdin?.on('error', () => undefined);
  child.stdin?.write(input);
  setTimeout(() => child.stdin?.end(), 1000);
  return promise;
}

test('early data is never taken: the request is carried out once, after the handshake', async ({ skip }) => {
  const session = join(folder, 'session');
  const early = join(folder, 'early');
  writeFileSync(early, `POST /early HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 0\r\n\r\n`);
  const common = ['s_client', '-connect', `127.0.0.1:${port}`, '-servername', host, '-tls1_3', '-ign_eof'];
  const first = await openssl([...common, '-sess_out', session], get);
  skip(first === undefined, 'there is no openssl here');
  expect(first).toContain('200 OK');
  expect(first).toMatch(/Max Early Data: 0/);
  const second = await openssl([...common, '-sess_in', session, '-early_data', early], get);
  expect(second).not.toContain('Early data was accepted');
  expect(sink.seen.some(({ url }) => url === '/early')).toBe(false);
});

test('a request that says it came as early data is answered by the upstream, whose 425 passes', async () => {
  const name = 'late.example.com';
  const late = await sinkAt(lab, name, 443, { respond: (_request, response) => void response.writeHead(425).end() });
  const socket = await tlsTo(await lab.open(name, 443), name, { ca: lab.authority.certificatePem });
  const answer = await talk(socket, [`GET /a HTTP/1.1\r\nHost: ${name}\r\nEarly-Data: 1\r\nConnection: close\r\n\r\n`]);
  expect(answer.text).toMatch(/^HTTP\/1\.1 425 /);
  expect(late.seen[0]?.headers['early-data']).toBe('1');
  late.close();
});

type Saying = (outer: Socket, flight: number, bytes: Buffer) => void;

/** Passes on to a port what a client says in a handshake, and ends as it is told to; the way back stays open. */
async function leaving(at: number, ca: string, say: Saying): Promise<() => void> {
  const relay = createServer((inner) => {
    let flight = 0;
    const outer = connect({ port: at, host: '127.0.0.1', allowHalfOpen: true });
    outer.on('error', () => undefined).on('data', (bytes) => inner.write(bytes));
    inner.on('error', () => undefined).on('data', (bytes: Buffer) => say(outer, (flight += 1), bytes));
  });
  await new Promise<void>((resolve) => void relay.listen(0, '127.0.0.1', resolve));
  const client = tlsConnect({ port: (relay.address() as AddressInfo).port, host: '127.0.0.1', servername: host, ca });
  client.on('error', () => undefined);
  return () => {
    client.destroy();
    relay.close();
  };
}

test.each<readonly [string, Saying]>([
  ['with its greeting', (outer, flight, bytes) => (flight === 1 ? outer.end(bytes) : undefined)],
  ['in place of its last words', (outer, flight, bytes) => void (flight === 1 ? outer.write(bytes) : outer.end())],
])('a caller that leaves the handshake %s is no connection of its sandbox any more', async (_, say) => {
  const own = await createLab({ rules: [rule(host, { credential: 'anthropic' })], credentials: [credential()] });
  const done = await leaving(await own.open(host, 443), own.authority.certificatePem, say);
  await expect.poll(own.lastDenial, { timeout: 5000 }).toMatchObject({ outcome: 'handshake-broken' });
  expect(own.gateway.usage(sandboxId)?.openConnections).toBe(0);
  done();
  await own.close();
});
