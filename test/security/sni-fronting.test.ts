import { afterAll, beforeAll, expect, test } from 'vitest';

import { createLab, rule, type Lab } from '../helpers/gateway-lab.ts';
import { rawConnect, talk, tlsTo } from '../helpers/raw-client.ts';
import { sinkAt, type Sink } from '../helpers/sink.ts';
import { clientHello, extension, serverNames } from '../helpers/client-hello.ts';

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
const padding = (bytes: number): Buffer => extension(21, Buffer.alloc(bytes));

const unreadable: Readonly<Record<string, Buffer>> = {
  'two names': clientHello({ extensions: [serverNames([0, allowed], [0, denied])] }),
  'two extensions': clientHello({ extensions: [serverNames([0, allowed]), serverNames([0, denied])] }),
  'type 1': clientHello({ extensions: [serverNames([1, allowed])] }),
  'another name after byte 1024': clientHello({ extensions: [padding(1300), serverNames([0, denied])] }),
  'split over records': clientHello({ extensions: [padding(400), serverNames([0, allowed])], cut: 60 }),
  'a trailing dot': clientHello({ extensions: [serverNames([0, `${allowed}.`])] }),
  '254 bytes': clientHello({ extensions: [serverNames([0, 'a.'.repeat(127)])] }),
  NUL: clientHello({ extensions: [serverNames([0, `${denied}\0.${allowed}`])] }),
  empty: clientHello({ extensions: [serverNames([0, ''])] }),
  none: clientHello({ extensions: [padding(4)] }),
  'no extensions': clientHello({ extensions: [] }),
  'an address': clientHello({ extensions: [serverNames([0, '192.0.2.10'])] }),
  'an encrypted hello behind another name': clientHello({
    extensions: [serverNames([0, 'cloudflare-ech.com']), extension(0xfe0d, Buffer.alloc(8))],
  }),
  'not a hello': Buffer.from('1603010004020000000', 'hex'),
  'SSL 2': Buffer.from('802e0103010015000000100100800300800700c006004002008004008000000000000000000000000000000000000000', 'hex'),
};

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
  const answer = await talk(
    await rawConnect(port),
    [clientHello({ extensions: [serverNames([0, allowed]), extension(0xfe0d, Buffer.alloc(8))] })],
    { quietMs: 300 },
  );
  // This hello offers no key share, so our own server answers it with an alert.
  expect(answer.text.charCodeAt(0)).toBe(0x15);
  expect(sink.connections()).toBe(before);
});
