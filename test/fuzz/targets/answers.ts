import { strict as assert } from 'node:assert';

import { readAsNode, readOurs } from '../../helpers/answer-readings.ts';
import { cutInto } from '../../helpers/websocket-bytes.ts';
import type { FuzzTarget } from '../fuzz.ts';

/** Answers of an upstream: cutting changes nothing, and what is taken for whole says the same to Node's own parser. */
const answerTarget: FuzzTarget = {
  name: 'answer',
  seeds: [
    'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: b\r\n\r\nhello',
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n',
    'HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n',
    'HTTP/1.0 103 Early Hints\r\nConnection: keep-alive\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n',
    'HTTP/1.0 404 Not Found\r\nConnection: keep-alive\r\n\r\nuntil the end',
    'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n\x81\x00',
    'HTTP/1.1 304\r\nContent-Length: 9\r\nETag: "x"\r\n\r\nHTTP/1.1 200 OK\r\n\r\n',
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
    'Transfer-Encoding: identity\r\n',
    'Transfer-Encoding : chunked\r\n',
    'Connection: close\r\n',
    'HTTP/1.1 200 OK\r\n',
    'HTTP/1.1 100 Continue\r\n\r\n',
    '0\r\n\r\n',
    '00000000000000005\r\n',
    '0x5\r\n',
    ' folded\r\n',
  ],
  run(input) {
    for (const method of ['GET', 'HEAD']) {
      const ours = readOurs([Buffer.from(input)], method, true);
      assert.deepEqual(readOurs(cutInto(input, [1, 5, 2]), method, true), ours, 'the same however it is cut');
      if (ours.end === 'whole') {
        assert.deepEqual(ours, readAsNode(Buffer.from(input), method, true), 'the same to Node');
      }
    }
  },
};

export const answerTargets: readonly FuzzTarget[] = [answerTarget];
