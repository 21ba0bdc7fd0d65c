import { createServer as createTlsServer, type TLSSocket } from 'node:tls';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { createKnownSecrets } from '../../src/gateway/secrets/known-secrets.ts';
import { noGuards } from '../../src/policy/guards.ts';
import { createLab, credential, listen, phantom, rule, sandboxId, type Lab } from '../helpers/gateway-lab.ts';
import { guarding } from '../helpers/guarding.ts';
import { tlsTo } from '../helpers/raw-client.ts';

/** A server that answers before it has the whole request: what stands in the rest is stopped and on record all the same. */

const secretOfHost = 'rk_live_9x8y7z6w5v4u3t2s1r0q';
const host = 'plain.example.com';

let lab: Lab;
let arrived = '';
let alarms = 0;
/** what the server says to the head of a request */
let answer = '';
const server = createTlsServer({}, (socket: TLSSocket) => {
  socket.on('error', () => undefined);
  socket.on('data', (piece: Buffer) => {
    arrived += piece.toString('latin1');
    if (piece.includes('\r\n\r\n')) {
      socket.write(answer);
    }
  });
});

beforeAll(async () => {
  const known = createKnownSecrets();
  known.addFor(sandboxId, [{ value: secretOfHost, label: 'STRIPE_KEY in .env' }]);
  lab = await createLab({
    rules: [rule(host, { http: [{ methods: undefined, path: '/**' }] }), rule('api.example.com', { credential: 'anthropic' })],
    credentials: [credential()],
    sandbox: {
      guarding: guarding({
        known,
        rules: { secrets: { ...noGuards.secrets, mode: 'refuse' } },
        onAlarm: () => void (alarms += 1),
      }),
    },
  });
  server.setSecureContext({ key: lab.upstreamLeaves.privateKeyPem, cert: await lab.upstreamLeaves.sign(host) });
  lab.route(host, 443, await listen(server));
});

afterAll(async () => {
  server.close();
  await lab.close();
});

const chunk = (text: string): string => `${text.length.toString(16)}\r\n${text}\r\n`;
const begun = `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${chunk('begun')}`;

describe.each([
  ['has begun its answer', begun],
  ['has ended its answer', `${begun}0\r\n\r\n`],
])('content that is sent when the server %s', (_, text) => {
  test.each([
    ['a phantom', phantom, 'phantom-misplaced'],
    ['a known secret', secretOfHost, 'secret-outgoing'],
  ])('and holds %s is stopped, and an alarm, once', async (__, held, reason) => {
    answer = text;
    arrived = '';
    alarms = 0;
    lab.entries.splice(0);
    const socket = await tlsTo(await lab.open(host, 443), host, { ca: lab.authority.certificatePem });
    socket.on('error', () => undefined);
    let said = '';
    socket.on('data', (piece: Buffer) => {
      said += piece.toString('latin1');
    });
    const closed = new Promise((resolve) => socket.once('close', resolve));
    const head = ['POST /v1 HTTP/1.1', `Host: ${host}`, 'Content-Type: application/octet-stream', 'Transfer-Encoding: chunked'];
    socket.write(`${head.join('\r\n')}\r\n\r\n${chunk('first'.repeat(1000))}`);
    await expect.poll(() => said).toContain('begun');
    socket.write(`${chunk(`x${held}x`)}${chunk('last')}`);
    await closed;
    await lab.settled();
    expect(alarms).toBe(1);
    expect(arrived).toContain('first');
    expect(arrived).not.toContain(held.slice(0, 20));
    expect(lab.actions().filter((line) => line.startsWith('alarm.'))).toEqual([`alarm.${reason} deny ${reason} ${host}:443`]);
    expect(lab.actions().filter((line) => line.startsWith('net.exchange'))).toHaveLength(1);
  });
});
