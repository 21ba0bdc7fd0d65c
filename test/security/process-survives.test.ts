/** DOS-23: no message of a sandbox ends the process, whatever else it ends. A crash of one exchange is nobody else's. */
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';

import { createLab, credential, rule, type Lab } from '../helpers/gateway-lab.ts';
import { talk, tlsTo } from '../helpers/raw-client.ts';
import { sinkAt, type Sink } from '../helpers/sink.ts';
import { watchProcessFaults, type ProcessFaults } from '../helpers/process-faults.ts';

const host = 'mitm.example.com';
const get = `GET /a HTTP/1.1\r\nHost: ${host}\r\n\r\n`;
const upgrade = `GET /live HTTP/1.1\r\nHost: ${host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n`;
const connect = `CONNECT ${host}:443 HTTP/1.1\r\nHost: ${host}\r\n\r\n`;

let lab: Lab;
let sink: Sink;
let port: number;
let faults: ProcessFaults;

beforeAll(async () => {
  faults = watchProcessFaults();
  lab = await createLab({ rules: [rule(host, { credential: 'anthropic' })], credentials: [credential()] });
  sink = await sinkAt(lab, host, 443);
  port = await lab.open(host, 443);
});
afterAll(async () => {
  faults.stop();
  await lab.close();
  sink.close();
});
afterEach(() => expect(faults.taken()).toEqual([]));

const open = () => tlsTo(port, host, { ca: lab.authority.certificatePem });

test.each(
  Object.entries({
    'an upgrade sent ahead': get + upgrade,
    'an upgrade behind two requests': get + get + upgrade,
    'two upgrades': upgrade + upgrade,
    'a CONNECT sent ahead': get + connect,
    'two CONNECTs': connect + connect,
    'a refused upgrade and a request': get + upgrade.replace('websocket', 'foo') + get,
    'a trailer that is announced': `POST /a HTTP/1.1\r\nHost: ${host}\r\nTrailer: x\r\nExpect: 100-continue\r\n\r\n`,
    'a content for CONNECT': `${connect.trimEnd()}\r\nContent-Length: 5\r\n\r\nhello`,
    'unknown expectations': `POST /a HTTP/1.1\r\nHost: ${host}\r\nExpect: foo\r\nContent-Length: 3\r\n\r\nabc`.repeat(3),
  }),
)('%s', async (_name, bytes) => {
  const neighbour = await open();
  await talk(await open(), [bytes], { quietMs: 300 });
  const answer = await talk(neighbour, [get.replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n')]);
  expect(answer.text).toMatch(/^HTTP\/1\.1 200 /);
});
