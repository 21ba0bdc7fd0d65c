import { strict as assert } from 'node:assert';

import { readAsNode, readOurs } from '../../helpers/request-readings.ts';
import { cutInto } from '../../helpers/websocket-bytes.ts';
import type { FuzzTarget } from '../fuzz.ts';

/** Requests of a caller: cutting changes nothing, and what is taken for a request is the same one to Node's own parser. */
const readerTarget: FuzzTarget = {
  name: 'request-reader',
  seeds: [
    'POST /a?b=c HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhelloGET /b HTTP/1.1\r\nHost: x\r\n\r\n',
    'POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n5;a=b\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n',
    'GET /a HTTP/1.0\r\nConnection: keep-alive\r\nExpect: 100-continue\r\n\r\n',
    'GET /live HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n\x81\x00',
    'CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n\x16\x03\x01',
  ],
  words: [
    '\r\n',
    '\n',
    '\r',
    '\0',
    ' ',
    '\t',
    ':',
    'Content-Length: 1\r\n',
    'Content-Length: +1\r\n',
    'Content-Length: 1, 1\r\n',
    'Transfer-Encoding: chunked\r\n',
    'Transfer-Encoding: gzip, chunked\r\n',
    'Transfer-Encoding : chunked\r\n',
    'Connection: close\r\n',
    'GET /b HTTP/1.1\r\n',
    ' HTTP/1.0\r\n',
    '0\r\n\r\n',
    '00000000000000005\r\n',
    '0x5\r\n',
    ' folded\r\n',
  ],
  run(input) {
    const ours = readOurs([Buffer.from(input)]);
    assert.deepEqual(readOurs(cutInto(input, [1, 5, 2])), ours, 'the same however it is cut');
    const theirs = readAsNode(Buffer.from(input));
    // Node knows methods by a list and targets by their beginning (what is no path is refused by `readHead` here), and stops
    // where a connection switches or closes; up to there it must read the same.
    const stops = ours.requests.findIndex(
      ({ method, target, isKept }) => !known.has(method) || !target.startsWith('/') || !isKept,
    );
    const plain = ours.requests.slice(0, stops === -1 ? undefined : stops);
    const compared = ours.end === 'switch' && stops === -1 ? plain.slice(0, -1) : plain;
    assert.deepEqual(theirs.requests.slice(0, compared.length), compared, 'the same to Node');
  },
};

const known: ReadonlySet<string> = new Set(['GET', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'HEAD', 'PATCH', 'CONNECT']);

export const requestTargets: readonly FuzzTarget[] = [readerTarget];
