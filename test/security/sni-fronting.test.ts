import { afterAll, beforeAll, expect, test } from 'vitest';

import { createLab, rule, type Lab } from '../helpers/gateway-lab.ts';
import { rawConnect, talk, tlsTo } from '../helpers/raw-client.ts';
import { sinkAt, type Sink } from '../helpers/sink.ts';
import { clientHello, serverNames } from '../../src/proof/attacks/client-hello.ts';
import { doubtfulHellos, hiddenHello } from '../../src/proof/attacks/hellos.ts';

/** GWP-05, GWP-06: TLS that is passed on unopened says exactly the name that was asked for, or it is closed. */

let lab: Lab;
let sink: Sink;
let port: number;

beforeAll(async () => {
  lab = await createLab({ rules: [rule('allowed.example.com')] });
  sink = await sinkAt(lab, 'allowed.example.com', 443);
  port = await lab.open('allowed.example.com', 443);
});
afterAll(async () => {
  await lab.close();
  sink.close();
});

test("the control: TLS for the asked name is passed on, with the upstream's own certificate", async () => {
  const socket = await tlsTo(port, 'allowed.example.com', { ca: lab.upstreamAuthority.certificatePem });
  expect(socket.authorized).toBe(true);
  const answer = await talk(socket, ['GET /x HTTP/1.1\r\nHost: allowed.example.com\r\nConnection: close\r\n\r\n']);
  expect(answer.text).toContain('hello from allowed.example.com /x');
});

test('a hello that arrives byte by byte is the same hello', async () => {
  const before = sink.connections();
  const socket = await rawConnect(port);
  for (const byte of clientHello({ extensions: [serverNames([0, 'allowed.example.com'])] })) {
    socket.write(Buffer.from([byte]));
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  await talk(socket, [], { quietMs: 300 });
  expect(sink.connections()).toBe(before + 1);
});

test.each(['denied.example.com', ''])('GWP-05: TLS for the name "%s" is closed after its hello', async (serverName) => {
  const before = sink.connections();
  await expect(tlsTo(port, 'x', { ca: lab.authority.certificatePem, serverName })).rejects.toThrow();
  await lab.settled();
  expect(sink.connections()).toBe(before);
  expect(lab.lastDenial()).toMatchObject({ decision: 'deny', subject: 'allowed.example.com:443' });
});

const allowed = 'allowed.example.com';
const denied = 'denied.example.com';
const unreadable = doubtfulHellos({ allowed, denied });

test.each(Object.entries(unreadable))('GWP-06: a hello with %s is closed and nobody hears it', async (_name, bytes) => {
  const before = sink.connections();
  const answer = await talk(await rawConnect(port), [bytes, Buffer.alloc(64)]);
  expect(answer.text).toBe('');
  expect(answer.end).not.toBe('timeout');
  expect(sink.connections()).toBe(before);
  expect(lab.lastDenial()).toMatchObject({ decision: 'deny', action: 'net.exchange' });
});

test('a hello with an encrypted inner hello is opened, never passed on: the upstream gets a hello of ours', async () => {
  const before = sink.connections();
  const answer = await talk(await rawConnect(port), [hiddenHello(allowed)], { quietMs: 300 });
  // This hello offers no key share, so our own server answers it with an alert.
  expect(answer.text.charCodeAt(0)).toBe(0x15);
  expect(sink.connections()).toBe(before);
});
