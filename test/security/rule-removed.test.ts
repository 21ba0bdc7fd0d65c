import type { Socket } from 'node:net';

import { afterEach, expect, test } from 'vitest';

import type { NetworkRule } from '../../src/policy/policy.ts';
import { createLab, rule, sandboxId, type Lab } from '../helpers/gateway-lab.ts';
import { ownWait } from '../helpers/own-wait.ts';
import { rawConnect, talk, tlsTo } from '../helpers/raw-client.ts';
import { sinkAt, type Sink } from '../helpers/sink.ts';

/** GWP-30: a rule that is taken away takes with it what is open under it, at once; what other rules allow goes on. */

const host = 'allowed.example.com';
const other = rule('other.example.com');
const policyHash = 'e'.repeat(64);
const get = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: ${host}\r\n\r\n`;

let lab: Lab;
let sink: Sink;
afterEach(async () => {
  await lab.close();
  sink.close();
});

const trickle = { respond: (_: unknown, response: { write: (text: string) => unknown }) => void response.write('first\n') };

async function closed(socket: Socket): Promise<boolean> {
  socket.resume();
  socket.on('error', () => undefined);
  for (let ms = 0; ms < 700 && !socket.closed; ms += 10) {
    await ownWait(10);
  }
  return socket.closed;
}

function replace(rules: readonly NetworkRule[]): number | undefined {
  return lab.gateway.update(sandboxId, { rules, policyHash })?.cut;
}

test('a tunnel that was passed on unopened is reset; the control: it stays while a rule allows it', async () => {
  lab = await createLab({ rules: [rule(host), other] });
  sink = await sinkAt(lab, host, 443);
  const socket = await tlsTo(await lab.open(host, 443), host, { ca: lab.upstreamAuthority.certificatePem });
  expect(replace([rule(host, { id: 'again' })])).toBe(0);
  socket.write(get('/one'));
  await expect.poll(() => sink.seen.length).toBe(1);
  const end = closed(socket);
  expect(replace([other])).toBe(1);
  expect(await end).toBe(true);
  await lab.settled();
  expect(lab.entries.at(-1)).toMatchObject({ action: 'net.exchange', outcome: 'rule-removed', policy: policyHash });
});

test('a tunnel is reset where the new rule wants each request judged', async () => {
  lab = await createLab({ rules: [rule(host)] });
  sink = await sinkAt(lab, host, 443);
  const socket = await tlsTo(await lab.open(host, 443), host, { ca: lab.upstreamAuthority.certificatePem });
  const end = closed(socket);
  expect(replace([rule(host, { http: [{ methods: ['GET'], path: '/one' }] })])).toBe(1);
  expect(await end).toBe(true);
});

test.each([
  ['HTTP/1.1', 80],
  ['HTTP/1.1 over TLS', 443],
])('an answer under way over %s is cut', async (_, port) => {
  lab = await createLab({ rules: [rule(host, { ports: [port], http: [{ methods: undefined, path: '/**' }] })] });
  sink = await sinkAt(lab, host, port, { ...trickle, plain: port === 80 });
  const at = await lab.open(host, port);
  const socket = port === 80 ? await rawConnect(at) : await tlsTo(at, host, { ca: lab.authority.certificatePem });
  socket.write(get('/long'));
  await new Promise((resolve) => socket.once('data', resolve));
  const end = closed(socket);
  expect(replace([rule(host, { ports: [port], http: [{ methods: undefined, path: '/other/**' }] })])).toBe(1);
  expect(await end).toBe(true);
  await lab.settled();
  expect(lab.actions().at(-1)).toBe(`net.exchange allow rule-removed ${host}:${port}`);
});

test('the next request on a connection that stays open is judged by the new rules', async () => {
  lab = await createLab({ rules: [rule(host, { ports: [80] })] });
  sink = await sinkAt(lab, host, 80, { plain: true });
  const socket = await rawConnect(await lab.open(host, 80));
  socket.write(get('/one'));
  await new Promise((resolve) => socket.once('data', resolve));
  replace([other]);
  const { text } = await talk(socket, [get('/two')], { quietMs: 2000 });
  expect(text).toContain('HTTP/1.1 403');
  expect(sink.seen.map(({ url }) => url)).toEqual(['/one']);
});

test('a rule that is added holds for the next request on an open connection that was refused', async () => {
  lab = await createLab({ rules: [] });
  sink = await sinkAt(lab, host, 80, { plain: true });
  const socket = await rawConnect(await lab.open(host, 80));
  socket.write(get('/one'));
  await new Promise((resolve) => socket.once('data', resolve));
  expect(sink.seen).toEqual([]);
  replace([rule(host, { ports: [80] })]);
  const { text } = await talk(socket, [get('/two')], { quietMs: 2000 });
  expect(text).toContain(`hello from ${host} /two`);
});

test('a rule taken away while the line of the journal is written lets nothing out', async () => {
  let go: () => void = () => undefined;
  lab = await createLab({ rules: [rule(host, { ports: [80] })] });
  sink = await sinkAt(lab, host, 80, { plain: true });
  const written = new Promise<void>((resolve) => (go = resolve));
  lab.delayJournal(written);
  const socket = await rawConnect(await lab.open(host, 80));
  const answer = talk(socket, [get('/one')], { quietMs: 2000 });
  await expect.poll(() => lab.actions()).toContain(`net.open allow ok ${host}:80`);
  replace([]);
  go();
  expect((await answer).text).toContain('403');
  expect(sink.connections()).toBe(0);
});

test('a sandbox that is not there is not updated', async () => {
  lab = await createLab({ rules: [] });
  sink = await sinkAt(lab, host, 80, { plain: true });
  expect(lab.gateway.update('cm-ffffffffffffffff', { rules: [], policyHash })).toBeUndefined();
});
