import { mkdir, writeFile } from 'node:fs/promises';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import { join } from 'node:path';

import { listen } from './gateway-lab.ts';
import type { Home } from './cli.ts';

export const realKey = 'real-key-0123456789abcdef-outside-only';
/** where the policy of the site finds the key */
export const keyInEnvironment = { EXAMPLE_KEY: realKey };

export interface SeenRequest {
  readonly method: string;
  readonly path: string;
  readonly authorization: string | undefined;
  readonly headers: IncomingHttpHeaders;
}

export interface ExampleSite {
  readonly seen: SeenRequest[];
  readonly close: () => void;
}

export interface ExampleSiteOptions {
  /** lines of the policy beside those of the site */
  readonly policy?: readonly string[];
  /** as in a policy: `GET /v1/**` */
  readonly allow: string;
  /** default: `hello` and what stood in `authorization` */
  readonly answer?: string;
}

/** A site on loopback behind `api.example.com`, port 443, and the user's policy for it: it takes a real key, which stays outside. */
export async function exampleSite(home: Home, { policy = [], allow, answer: fixed }: ExampleSiteOptions): Promise<ExampleSite> {
  const seen: SeenRequest[] = [];
  const server = createServer((request, response) => {
    const { method = '', url: path = '', headers } = request;
    const { authorization } = headers;
    seen.push({ method, path, authorization, headers });
    request.resume().on('end', () => response.end(fixed ?? `hello ${authorization ?? 'nobody'}\n`));
  });
  const port = await listen(server);
  const lines = [
    'version: 1 # mine',
    ...policy,
    'network:',
    '  - host: api.example.com',
    '    ports: [443]',
    '    credential: example',
    `    allow: ["${allow}"]`,
    `    upstream: http://127.0.0.1:${port}`,
    'credentials:',
    '  example:',
    '    provider: header',
    '    source: { env: EXAMPLE_KEY }',
    '    header: { name: Authorization, format: "Bearer {}" }',
    '    variable: EXAMPLE_KEY',
    '',
  ];
  await mkdir(home.paths.config, { recursive: true, mode: 0o700 });
  await writeFile(join(home.paths.config, 'policy.yaml'), lines.join('\n'));
  return { seen, close: () => void server.close() };
}
