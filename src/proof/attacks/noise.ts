import { createHash } from 'node:crypto';

import { preface } from './http2-bytes.ts';

/** Other protocols, and plain noise, on a port for HTTP or TLS. */
export function otherProtocols(denied: string): Readonly<Record<string, Buffer>> {
  const texts = {
    SSH: 'SSH-2.0-x\r\n',
    'SOCKS 4': '\x04\x01\x01\xbb\xc0\0\x02\n\0',
    'SOCKS 5': '\x05\x01\x00\x05\x01\x00\x01\xc0\0\x02\n\x01\xbb',
    'PROXY 1': `PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\nCONNECT ${denied}:443 HTTP/1.1\r\n\r\n`,
    'PROXY 2': `\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c${'\0'.repeat(12)}CONNECT ${denied}:443 HTTP/1.1\r\n\r\n`,
    'HTTP 0.9': 'GET /\r\n',
    CONNECT: `CONNECT ${denied}:443 HTTP/1.1\r\nHost: ${denied}:443\r\n\r\n`,
    'CONNECT in small letters': `connect ${denied}:443 HTTP/1.1\r\n\r\n`,
    'a TLS record that is no greeting': '\x16\x03\x01\0\x05hello',
    'TLS in the middle': '\x17\x03\x03\0\x05hello',
    SMTP: 'EHLO x\r\nMAIL FROM:<a@b>\r\n',
    Redis: '*1\r\n$4\r\nPING\r\n',
    DNS: '\0\x1d\0\x07\x01\0\0\x01\0\0\0\0\0\0\x03api\x07example\x03com\0\0\x01\0\x01',
    PostgreSQL: '\0\0\0\x08\x04\xd2\x16\x2f',
    'line ends': '\r\n'.repeat(40),
    zeros: '\0'.repeat(64),
  };
  return {
    ...Object.fromEntries(Object.entries(texts).map(([name, text]) => [name, Buffer.from(text, 'latin1')])),
    'HTTP/2 without being asked': preface,
  };
}

/** The same again for the same seed: bytes without a meaning, some behind the beginning of something that has one. */
export function randomBytesFrom(seed: string, count: number): readonly Buffer[] {
  const beginnings = ['', 'GET ', 'CONNECT ', '\x16\x03\x01\x02\x00\x01', 'POST /v1/messages HTTP/1.1\r\nHost: ', '\x05'];
  return Array.from({ length: count }, (_, index) => {
    const blocks = Array.from({ length: 1 + (index % 8) }, (_one, block) =>
      createHash('sha256').update(`${seed} ${index} ${block}`).digest(),
    );
    return Buffer.concat([Buffer.from(beginnings[index % beginnings.length] ?? '', 'latin1'), ...blocks]);
  });
}
