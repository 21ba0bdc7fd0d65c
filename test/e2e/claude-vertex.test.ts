import { createServer, type Server } from 'node:http';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { messageEvents } from '../../src/tour/model-api/messages.ts';
import { makeHome, wholeWayLacks, type Home } from '../helpers/cli.ts';
import { listen } from '../helpers/gateway-lab.ts';
import { engineOrSkip } from '../helpers/require-engine.ts';

/** The real Claude Code at Vertex: it sends no key at all, and Vertex sees the access token of the host. */

const token = 'ya29.REAL-access-token-of-the-host';

describe.skipIf(!engineOrSkip('oci', await wholeWayLacks(['claude'])))('Claude Code at Vertex', () => {
  let home: Home;
  let server: Server;
  const seen: { url: string; authorization: string | undefined }[] = [];

  beforeAll(async () => {
    home = await makeHome();
    const blocks = [{ type: 'text', text: 'an answer of Vertex' }] as const;
    const reply = { id: 'msg_stand_in', model: 'claude', blocks, stopReason: 'end_turn', inputTokens: 10 } as const;
    server = createServer((request, response) => {
      seen.push({ url: request.url ?? '', authorization: request.headers.authorization });
      request.resume().once('end', () => {
        response.writeHead(200, { 'content-type': 'text/event-stream' });
        for (const event of messageEvents(reply)) {
          response.write(event);
        }
        response.end();
      });
    });
    const port = await listen(server);
    await mkdir(home.paths.config, { recursive: true, mode: 0o700 });
    await writeFile(
      join(home.paths.config, 'policy.yaml'),
      `version: 1
agent: { name: claude, provider: vertex, region: global, project: my-project }
network:
  - { host: aiplatform.googleapis.com, upstream: "http://127.0.0.1:${port}" }
credentials:
  google: { provider: google, source: { env: ACCESS_TOKEN } }
`,
    );
  });
  afterAll(async () => {
    server.close();
    server.closeAllConnections();
    await home.remove();
  });

  test('answers a prompt from a stream, with the token of the host and nothing asked twice', { timeout: 180_000 }, async () => {
    const command = ['run', '--', 'claude', '-p', 'say it'];
    const { code, out } = await home.casemate(command, { env: { ACCESS_TOKEN: token }, timeoutMs: 120_000 });
    expect({ code, out }).toEqual({ code: 0, out: 'an answer of Vertex\n' });
    expect(seen.map(({ authorization }) => authorization)).toEqual(seen.map(() => `Bearer ${token}`));
    const streamed = seen.filter(({ url }) => url.endsWith(':streamRawPredict'));
    expect(streamed).toHaveLength(1);
    expect(streamed[0]?.url).toMatch(/^\/v1\/projects\/my-project\/locations\/global\/publishers\/anthropic\/models\/[^/]+$/);
  });
});
