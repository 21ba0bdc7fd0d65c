import { brotliCompressSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib';

import { frame } from './websocket-frame.ts';

/** Answers of a server that repeats what it was sent: a text in every place of an answer, byte for byte as Latin-1. */

const end = '\r\n\r\n';

/** Answers that go through, the text made unreadable in them. `mark` stands in each, in clear. */
export function placedEchoes(text: string, mark: string): Readonly<Record<string, string>> {
  const said = `${mark} begins ${text} ends`;
  const ok = `HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n`;
  const sized = (body: string, more = ''): string => `${ok}${more}Content-Length: ${body.length}${end}${body}`;
  const chunked = (pieces: readonly string[], behind = ''): string =>
    `${ok}Transfer-Encoding: chunked\r\n${behind === '' ? '' : 'Trailer: X-Echo\r\n'}\r\n${pieces.map(chunk).join('')}0\r\n${behind}\r\n`;
  const half = mark.length + ' begins '.length + Math.floor(text.length / 2);
  return {
    'in a header': sized(mark, `X-Echo: ${text}\r\n`),
    'in two headers of one name': sized(mark, `X-Echo: a\r\nX-Echo: ${text}\r\n`),
    'in the address of a redirect': `HTTP/1.1 302 Found\r\nLocation: https://other.test/?${text}\r\nContent-Length: ${mark.length}${end}${mark}`,
    'in a challenge': `HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Bearer error="${text}"\r\nContent-Length: ${mark.length}${end}${mark}`,
    'in a cookie': sized(mark, `Set-Cookie: session=${text}\r\n`),
    'in the words of a status': `HTTP/1.1 200 ${text}\r\nContent-Length: ${mark.length}${end}${mark}`,
    'in an early hint': `HTTP/1.1 103 Early Hints\r\nLink: <${text}>; rel=preload${end}${sized(mark)}`,
    'twice in the content': sized(`${said} ${text}`),
    'twice without anything between': sized(`${mark}${text}${text}`),
    'behind the beginning of itself': sized(`${mark}${text.slice(0, 12)}${text}`),
    'in two chunks': chunked([said.slice(0, half), said.slice(half)]),
    'in chunks of one byte': chunked(said.split('')),
    'behind the content': chunked([mark], `X-Echo: ${text}\r\n`),
    'in the extension of a chunk': `${ok}Transfer-Encoding: chunked${end}${mark.length.toString(16)};x="${text}"\r\n${mark}\r\n0\r\n\r\n`,
    'in a stream of events': `HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked${end}${[`data: ${mark}\n\n`, `data: ${text}\n\n`].map(chunk).join('')}0\r\n\r\n`,
    'in a document of a fault': `HTTP/1.1 500 No\r\nContent-Length: ${said.length}${end}${said}`,
  };
}

function chunk(piece: string): string {
  return `${piece.length.toString(16)}\r\n${piece}\r\n`;
}

/** Frames of a server, behind a switch to WebSocket. */
export function framedEchoes(text: string, mark: string): Readonly<Record<string, string>> {
  const bytes = (content: string, code: number, isFinal = true): string =>
    frame({ code, content: Buffer.from(content, 'latin1'), isFinal }).toString('latin1');
  const half = Math.floor(text.length / 2);
  return {
    'in a message': bytes(`${mark}${text}`, 1),
    'in two frames of a message': bytes(`${mark}${text.slice(0, half)}`, 1, false) + bytes(text.slice(half), 0),
    'in a ping': bytes(mark, 1) + bytes(text, 9),
    'in the reason of an end': bytes(mark, 1) + bytes(`\u0003\u00e8${text}`, 8),
  };
}

/** Codings that nobody asked for, by name as an answer states it. */
export const compressions: Readonly<Record<string, (bytes: Buffer) => Buffer>> = {
  gzip: (bytes) => gzipSync(bytes),
  'x-gzip': (bytes) => gzipSync(bytes),
  deflate: (bytes) => deflateSync(bytes),
  br: (bytes) => brotliCompressSync(bytes),
  zstd: (bytes) => zstdCompressSync(bytes),
  'gzip, br': (bytes) => brotliCompressSync(gzipSync(bytes)),
  'gzip, gzip': (bytes) => gzipSync(gzipSync(bytes)),
};
