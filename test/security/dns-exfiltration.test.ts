import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { decode, encode, type DecodedPacket } from 'dns-packet';

import { createLab, credential, phantom, rule, type Lab } from '../helpers/gateway-lab.ts';
import { rawConnect, talk } from '../helpers/raw-client.ts';

/** GWP-01, NET-04: a name lookup of a sandbox never leaves the host, whatever it carries. */

type Asked = 'A' | 'AAAA' | 'TXT' | 'MX' | 'SRV' | 'CNAME' | 'NS' | 'PTR' | 'HTTPS';

let lab: Lab;

beforeAll(async () => {
  lab = await createLab({
    rules: [rule('allowed.example.com', { ports: [80] }), rule('*.wild.example.com', { ports: [80] })],
    credentials: [credential()],
    gateway: { limits: { names: 50, allowedNames: 5 } },
  });
});
afterAll(() => lab.close());

function ask(name: string, type: Asked = 'A') {
  const answer = lab.query(encode({ type: 'query', id: 7, flags: 0x100, questions: [{ type: type as 'A', name }] }));
  // Typed without its code, which the library fills in.
  return answer === undefined ? undefined : (decode(Buffer.from(answer)) as DecodedPacket & { readonly rcode: string });
}

test('no query of any kind is resolved on the host', () => {
  for (const name of [
    '736563726574.exfil.example.net',
    'allowed.example.com',
    'x.wild.example.com',
    'localhost',
    '1.0.0.127.in-addr.arpa',
  ]) {
    for (const type of ['A', 'AAAA', 'TXT', 'MX', 'SRV', 'CNAME', 'NS', 'PTR', 'HTTPS'] as const) {
      expect(ask(name, type)).toBeDefined();
    }
  }
  expect(lab.lookups).toEqual([]);
});

test('a connection to a denied name resolves nothing; to an allowed one exactly that name', async () => {
  await talk(await rawConnect(await lab.open('data.exfil.example.net', 80)), [
    'GET / HTTP/1.1\r\nHost: data.exfil.example.net\r\nConnection: close\r\n\r\n',
  ]);
  expect(lab.lookups).toEqual([]);
  await talk(await rawConnect(await lab.open('allowed.example.com', 80)), [
    'GET / HTTP/1.1\r\nHost: allowed.example.com\r\nConnection: close\r\n\r\n',
  ]);
  expect(lab.lookups).toEqual(['allowed.example.com']);
});

test('a phantom in a name is refused and recorded as such', () => {
  expect(ask(`${phantom.slice(0, 60)}.${phantom}.exfil.example.net`)?.rcode).toBe('REFUSED');
  expect(lab.lastDenial()).toMatchObject({ action: 'alarm.phantom-misplaced', decision: 'deny' });
});

describe('when the table of names is full', () => {
  test('further denied names fail, known and allowed ones go on, and the journal has one line', () => {
    const known = lab.addressOf('allowed.example.com');
    for (let index = 0; index < 100; index += 1) {
      ask(`n${index}.flood.example.net`);
    }
    expect(ask('one-more.flood.example.net')?.rcode).toBe('SERVFAIL');
    expect(lab.addressOf('allowed.example.com')).toBe(known);
    expect(lab.addressOf('fresh.wild.example.com')).toMatch(/^127\./);
    expect(lab.entries.filter(({ outcome }) => outcome === 'too-many-names')).toHaveLength(1);
  });
});

test('over TCP the same answers come, in frames, however they are cut', async () => {
  const query = encode({ type: 'query', id: 9, questions: [{ type: 'A', name: 'allowed.example.com' }] });
  const framed = Buffer.concat([Buffer.from([query.length >> 8, query.length & 0xff]), query]);
  const socket = await rawConnect(await lab.openAddress('127.0.0.1', 53));
  socket.write(framed.subarray(0, 1));
  await new Promise((resolve) => setTimeout(resolve, 20));
  const answer = Buffer.from(
    (await talk(socket, [Buffer.concat([framed.subarray(1), framed])], { quietMs: 200 })).text,
    'latin1',
  );
  const first = decode(answer.subarray(2, 2 + answer.readUInt16BE(0)));
  expect(first.answers?.[0]).toMatchObject({ type: 'A', data: lab.addressOf('allowed.example.com') });
  expect(answer.length).toBe(2 * (2 + answer.readUInt16BE(0)));
});
