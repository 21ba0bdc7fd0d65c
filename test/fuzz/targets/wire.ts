import { strict as assert } from 'node:assert';

import { parseHost } from '../../../src/base/host.ts';
import { readClientHello } from '../../../src/gateway/tls/client-hello.ts';
import type { Exchange } from '../../../src/gateway/exchange.ts';
import { fieldsOf, forwardedRequestFields, valuesOf } from '../../../src/gateway/http/fields.ts';
import { createPktReader, flushPkt, pktLine } from '../../../src/gateway/git/git-pkt-line.ts';
import { createPushReader } from '../../../src/gateway/git/git-push.ts';
import { createMask, prepareNeedles } from '../../../src/gateway/secrets/mask.ts';
import { readHead } from '../../../src/gateway/http/request-head.ts';
import { requestTrailers } from '../../../src/gateway/exchange/trailers.ts';
import { createFrameRelay, FrameFault } from '../../../src/gateway/bodies/websocket-frames.ts';
import { clientHello, extension, serverNames } from '../../../src/proof/attacks/client-hello.ts';
import { frame } from '../../../src/proof/attacks/websocket-frame.ts';
import { cutInto } from '../../helpers/websocket-bytes.ts';
import type { FuzzTarget } from '../fuzz.ts';

/** What comes over a connection. Cutting it differently must never change what is understood. */

const name = 'api.example.com';
const helloTarget: FuzzTarget = {
  name: 'hello',
  seeds: [
    clientHello({ extensions: [serverNames([0, name])] }),
    clientHello({ extensions: [extension(21, Buffer.alloc(300)), serverNames([0, name]), extension(0xfe0d, Buffer.alloc(8))] }),
    clientHello({ extensions: [serverNames([0, name], [0, name])] }),
    clientHello({ extensions: [serverNames([0, name])], cut: 40 }),
  ],
  words: ['\x16\x03\x01', '\0\0', '\xfe\x0d', name],
  run(input) {
    const hello = readClientHello(input);
    if (hello.kind === 'hello') {
      assert.ok(input.toString('latin1').toLowerCase().includes(hello.serverName), 'the name stands in it');
      assert.equal(parseHost(hello.serverName), hello.serverName);
      assert.deepEqual(readClientHello(Buffer.concat([input, Buffer.alloc(9)])), hello, 'what follows changes nothing');
    }
  },
};

const asked = { host: parseHost(name), port: 443 };
const requestTarget: FuzzTarget = {
  name: 'request',
  seeds: [
    `POST /v1/messages?x=1\nhost: ${name}\ncontent-length: 5`,
    `GET /\nhost: ${name}:443\ntransfer-encoding: chunked\nconnection: close, x-api-key\nx-api-key: k`,
    `GET http://${name}/\nHost: ${name}\nHost: ${name}`,
  ],
  words: [
    'content-length: 1\n',
    'transfer-encoding: chunked\n',
    'host: ',
    '\r',
    '%0d%0a',
    ' ',
    '\0',
    'http://',
    '@',
    '#',
    'trailer: a\n',
  ],
  run(input) {
    const [line = '', ...rest] = input.toString('latin1').split('\n');
    const [method = '', target = ''] = line.split(' ');
    const raw = rest.flatMap((row) => [row.slice(0, Math.max(0, row.indexOf(':'))), row.slice(row.indexOf(':') + 1).trim()]);
    const fields = fieldsOf(raw);
    const result = readHead({ ...blank, method, target, fields, authorities: valuesOf(fields, 'host') }, asked);
    if (result.ok) {
      assert.match(result.head.target, /^\/[!-~]*$/, 'nothing in it ends a line');
      assert.ok(valuesOf(fields, 'content-length').length + valuesOf(fields, 'transfer-encoding').length <= 1, 'one framing');
    }
    const kept = forwardedRequestFields(fields).map(([field]) => field);
    assert.ok(!kept.some((field) => /^(?:connection|host|transfer-encoding|te|upgrade|via|x-forwarded-.*)$/.test(field)));
    requestTrailers(fields, { credential: undefined, phantoms: ['phantom'] });
  },
};

const blank: Exchange = {
  version: '1.1',
  method: 'GET',
  target: '/',
  authorities: [],
  fields: [],
  body: undefined,
  isWhole: () => true,
  trailers: () => [],
  expectsContinue: false,
  signal: new AbortController().signal,
  sendContinue: () => undefined,
  respond: () => assert.fail('nothing is answered here'),
  sendTrailers: () => undefined,
  hasResponded: () => false,
  cut: () => undefined,
};

const secret = 'sk-secret-0123456789';
const needles = prepareNeedles([Buffer.from(secret), Buffer.from('other-needle-00')]);

const maskTarget: FuzzTarget = {
  name: 'mask',
  seeds: [`a ${secret} b`, secret.repeat(3), `${secret.slice(0, 10)}${secret}other-needle-00`],
  words: [secret, secret.slice(0, 7), 'other-'],
  run(input) {
    const size = 1 + (input[0] ?? 0);
    const expected = input
      .toString('latin1')
      .replaceAll(/sk-secret-0123456789|other-needle-00/g, (found) => '*'.repeat(found.length));
    const mask = createMask(needles);
    const pieces = cutInto(input, [size, 1, 3]).map((piece) => Buffer.from(mask.push(piece)));
    assert.equal(Buffer.concat([...pieces, mask.finish()]).toString('latin1'), expected);
  },
};

const key = Buffer.from([1, 2, 3, 4]);
const framesTarget: FuzzTarget = {
  name: 'frames',
  seeds: [
    frame({ code: 1, content: Buffer.from(`hello ${secret}`), key }),
    Buffer.concat([
      frame({ code: 2, content: Buffer.alloc(200, 1), isFinal: false, key }),
      frame({ code: 9, content: Buffer.from('ping'), key }),
      frame({ code: 0, content: Buffer.from('end'), key }),
      frame({ code: 8, content: Buffer.from([3, 232]), key }),
    ]),
    frame({ code: 2, content: Buffer.alloc(70_000, 1), key }).subarray(0, 3000),
  ],
  words: ['\x81', '\x01', '\x80', '\x89\x80', '\x88\x82', '\xfe', '\xff', '\x82\xfe\x01\x00'],
  run(input) {
    const whole = relayed([input]);
    const cut = relayed(cutInto(input, [1, 7, 2]));
    assert.equal(cut.fault, whole.fault, 'the same fault however it is cut');
    assert.ok(!whole.bytes.includes(secret));
    // What was written is well formed: it passes once more, as it is.
    assert.equal(relayed([whole.bytes]).fault, undefined);
  },
};

function relayed(pieces: readonly Buffer[]): { bytes: Buffer; fault: string | undefined } {
  const relay = createFrameRelay({ sender: 'client', step: () => createMask(needles), maskKey: () => 0 });
  const bytes: Buffer[] = [];
  try {
    for (const piece of pieces) {
      bytes.push(relay.push(Buffer.from(piece)));
    }
  } catch (error) {
    if (!(error instanceof FrameFault)) {
      throw error;
    }
    return { bytes: Buffer.alloc(0), fault: error.message };
  }
  return { bytes: Buffer.concat(bytes), fault: undefined };
}

const zero = '0'.repeat(40);
const one = '1'.repeat(40);
const command = (reference: string): Buffer => pktLine(`${zero} ${one} ${reference}\0report-status side-band-64k agent=git/2`);
const pktTarget: FuzzTarget = {
  name: 'pkt-line',
  seeds: [
    Buffer.concat([command('refs/heads/main'), pktLine(`${zero} ${one} refs/tags/v1\n`), flushPkt, Buffer.from('PACK')]),
    '0004',
    '0001',
  ],
  words: ['0000', '0001', '0004', 'fff0', 'refs/heads/', '\0', ' ', '\n', 'push-cert'],
  run(input) {
    const whole = pushOf([input]);
    assert.deepEqual(pushOf(cutInto(input, [1, 5, 2])), whole, 'the same however it is cut');
    const reader = createPktReader();
    reader.push(Buffer.from(input));
    for (let lines = 0; ; lines += 1) {
      const line = reader.next();
      assert.ok(lines <= input.length, 'each line takes something');
      if (line.kind === 'incomplete' || line.kind === 'unreadable') {
        return;
      }
    }
  },
};

function pushOf(pieces: readonly Buffer[]): unknown {
  const reader = createPushReader();
  for (const piece of pieces) {
    const reading = reader.push(Buffer.from(piece));
    if (reading.kind !== 'incomplete') {
      return reading;
    }
  }
  return reader.end();
}

export const wireTargets: readonly FuzzTarget[] = [helloTarget, requestTarget, maskTarget, framesTarget, pktTarget];
