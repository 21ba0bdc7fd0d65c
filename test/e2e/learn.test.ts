import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { mkdir, readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { makeHome, wholeWayLacks, type Home } from '../helpers/cli.ts';
import { engineOrSkip } from '../helpers/require-engine.ts';

const realKey = 'real-key-0123456789abcdef-outside-only';

describe.skipIf(!engineOrSkip('oci', await wholeWayLacks()))('learning what a program needs', { timeout: 60_000 }, () => {
  let home: Home;
  let upstream: Server;
  const seen: string[] = [];
  const env = { EXAMPLE_KEY: realKey };

  beforeAll(async () => {
    home = await makeHome();
    upstream = createServer((request, response) => {
      seen.push(`${request.method} ${request.url} ${JSON.stringify(request.headers)}`);
      request.resume().on('end', () => response.end('answer\n'));
    });
    await new Promise<void>((done) => upstream.listen(0, '127.0.0.1', done));
    const { port } = upstream.address() as AddressInfo;
    await mkdir(home.paths.config, { recursive: true, mode: 0o700 });
    const policy = [
      'version: 1',
      'network:',
      '  - host: api.example.com',
      '    credential: example',
      '    allow: ["GET /known"]',
      `    upstream: http://127.0.0.1:${port}`,
      'credentials:',
      '  example:',
      '    provider: header',
      '    source: { env: EXAMPLE_KEY }',
      '    header: { name: Authorization, format: "Bearer {}" }',
      '    variable: EXAMPLE_KEY',
      '',
    ].join('\n');
    await writeFile(join(home.paths.config, 'policy.yaml'), policy);
    await writeFile(join(home.project, '.env'), 'TOKEN=abc\n');
    await writeFile(join(home.project, 'kept.txt'), 'kept\n');
  });
  afterAll(async () => {
    upstream.close();
    await home.remove();
  });

  const script = [
    'ls -A; echo "key=$EXAMPLE_KEY"; echo changed > kept.txt',
    'curl -sS -H "Authorization: Bearer mine" https://api.example.com/users/17',
    'curl -sS https://api.example.com/known',
    'curl -sS -d content https://api.example.com/items',
  ].join('\n');

  it('lets reads out without a key, notes writes down, and leaves the workspace as it was', async () => {
    const { code, out, err } = await home.casemate(['learn', '--json', '--', 'sh', '-c', script], { env });
    expect(code).toBe(0);
    expect(err).toContain('key=\n');
    expect(err).not.toMatch(/^\.env$/m);
    expect(seen.map((line) => line.split(' ').slice(0, 2).join(' '))).toEqual(['GET /users/17', 'GET /known']);
    expect(seen.join('\n')).not.toMatch(/authorization|Bearer|real-key/i);
    expect(await readFile(join(home.project, 'kept.txt'), 'utf8')).toBe('kept\n');
    const { rules, allows, notes } = JSON.parse(out);
    expect(rules[0].allow).toEqual(['POST /items', 'GET /users/*']);
    expect(allows[0]).toContain('with the credential example');
    expect(notes.join('\n')).toContain('not in the copy: .env');
  });

  it('sends nothing at all with --closed', async () => {
    const before = seen.length;
    expect(
      await home.casemate(['learn', '--closed', '--', 'curl', '-sS', 'https://api.example.com/users/18'], { env }),
    ).toMatchObject({ code: 0 });
    expect(seen).toHaveLength(before);
  });

  it('writes a policy under which the same program then runs', async () => {
    const written = await home.casemate(['learn', '--write', 'user', '--yes', '--', 'sh', '-c', script], { env });
    expect(written).toMatchObject({ code: 0, out: expect.stringContaining('written: ') });
    const call = 'curl -sS -d content -H "Authorization: Bearer $EXAMPLE_KEY" https://api.example.com/items';
    expect(await home.casemate(['run', '--', 'sh', '-c', call], { env })).toMatchObject({ code: 0, out: 'answer\n' });
    expect(seen.at(-1)).toContain(`Bearer ${realKey}`);
  });

  it('does not start where nobody may be asked for more', async () => {
    const file = join(home.root, 'closed.yaml');
    await writeFile(file, 'version: 1\nasks: { wait: off }\n');
    const outcome = await home.casemate(['learn', '--policy', file, '--', 'true'], { env });
    expect(outcome).toMatchObject({ code: 2, err: expect.stringContaining('nothing can be learned under it') });
    expect((await readdir(home.project)).toSorted()).toEqual(['.env', 'kept.txt']);
  });
});
