import { createServer } from 'node:http';

import { afterEach, expect, test } from 'vitest';

import { createLab, listen, rule, type Lab } from '../helpers/gateway-lab.ts';
import { rawConnect, talk } from '../helpers/raw-client.ts';

/**
 * The threat: content that says it is in another character set. The rules read JSON as UTF-8, a server that goes by
 * `charset` reads other words in the same bytes: UTF-7 hides quotes from everybody who does not expect it.
 */

const host = 'mcp.example.com';
let lab: Lab;
let end: () => unknown = () => undefined;
afterEach(async () => {
  end();
  await lab.close();
});

/** RFC 2152, as the body parser of Express and the library of MCP for Node read it. */
function fromUtf7(text: string): string {
  return text.replaceAll(/\+([A-Za-z0-9+/]*)-?/g, (_, coded: string) =>
    coded === '' ? '+' : Buffer.from(coded, 'base64').swap16().toString('utf16le'),
  );
}

/** A server that goes by `charset`, and what it makes of a call. */
async function start(): Promise<{ readonly port: number; readonly seen: unknown[] }> {
  const seen: unknown[] = [];
  const server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on('data', (piece: Buffer) => parts.push(piece));
    request.on('end', () => {
      const text = Buffer.concat(parts).toString();
      const isUtf7 = /utf-7/i.test(request.headers['content-type'] ?? '');
      seen.push((JSON.parse(isUtf7 ? fromUtf7(text) : text) as { params: { name: string } }).params.name);
      response.writeHead(202).end();
    });
  });
  lab = await createLab({
    rules: [rule(host, { ports: [80], mcp: { path: '/mcp', tools: ['read_file'], methods: undefined } })],
  });
  lab.route(host, 80, await listen(server));
  end = () => server.close();
  return { port: await lab.open(host, 80), seen };
}

const hidden =
  '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"read_file","_meta":{"x":"+ACIAfQ-,+ACI-name+ACI-:+ACI-write_file+ACI-,+ACI-arguments+ACI-:+AHsAIg-y+ACI-:+ACI-"}}}';

test.each([
  'application/json; charset=utf-7',
  'application/json;charset="UTF-7"',
  'application/json; charset=utf-16le',
  'application/json; charset=utf-8; charset=utf-7',
  'application/json; x=y',
])('a call of type %s is not carried out', async (type) => {
  const { port, seen } = await start();
  const post = async (contentType: string, content: string): Promise<string> =>
    (
      await talk(
        await rawConnect(port),
        [
          `POST /mcp HTTP/1.1\r\nHost: ${host}\r\nContent-Type: ${contentType}\r\nConnection: close\r\nContent-Length: ${content.length}\r\n\r\n${content}`,
        ],
        { quietMs: 5000 },
      )
    ).text;
  expect(await post(type, hidden)).toContain('HTTP/1.1 415');
  expect(seen).toEqual([]);
  expect(await post('application/json; charset=UTF-8', hidden)).toContain('HTTP/1.1 202');
  expect(await post('application/json', hidden)).toContain('HTTP/1.1 202');
  expect(seen).toEqual(['read_file', 'read_file']);
});
