import { createServer, type Server } from 'node:http';
import { afterAll, beforeAll, expect, test } from 'vitest';

import { createLab, credential, listen, rule, type Lab } from '../helpers/gateway-lab.ts';
import { answersIn, talk, tlsTo } from '../helpers/raw-client.ts';

/** SMU: an answer whose content comes at once is whole before its end, and nothing of it follows as an answer of its own. */

let lab: Lab;
let server: Server;
const wanted = Array.from({ length: 6 }, (_, index) => `event: e${index}\n\n`).join('');

beforeAll(async () => {
  server = createServer((request, response) => {
    request.resume().once('end', () => {
      response.setHeader('content-type', 'text/event-stream');
      for (let index = 0; index < 6; index += 1) {
        response.write(`event: e${index}\n\n`);
      }
      response.end();
    });
  });
  // In the clear over loopback, so that all of the answer is there in one turn.
  const upstream = `http://127.0.0.1:${await listen(server)}`;
  lab = await createLab({
    rules: [
      rule('keyed.example.com', { credential: 'anthropic', upstream }),
      rule('plain.example.com', { http: [{ methods: undefined, path: '/**' }], upstream }),
    ],
    credentials: [credential()],
  });
});
afterAll(async () => {
  server.close();
  await lab.close();
});

test.each(['keyed.example.com', 'plain.example.com'])('from %s, twice on one connection', async (host) => {
  const socket = await tlsTo(await lab.open(host, 443), host, { ca: lab.authority.certificatePem });
  const ask = `GET /x HTTP/1.1\r\nHost: ${host}\r\n`;
  const { text } = await talk(socket, [`${ask}\r\n`, `${ask}Connection: close\r\n\r\n`]);
  expect(answersIn(text)).toBe(2);
  const [first = '', second = '', ...more] = text.split('0\r\n\r\n');
  expect([first, second].map(contentOf)).toEqual([wanted, wanted]);
  expect(more).toEqual(['']);
});

/** The content of one answer in chunks. */
function contentOf(answer: string): string {
  const [, chunks = ''] = /\r\n\r\n([\s\S]*)$/.exec(answer) ?? [];
  return chunks.replaceAll(/(?:^|\r\n)[0-9a-f]+\r\n/g, '').replace(/\r\n$/, '');
}
