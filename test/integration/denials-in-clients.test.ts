import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, expect, test } from 'vitest';

import { createLab, rule, type Lab } from '../helpers/gateway-lab.ts';
import { unusedPort } from '../helpers/unused-port.ts';

/** What the programs people use make of a denial: the reason has to reach the person. */

const host = 'registry.example.com';
let lab: Lab;
let port: number;
let folder: string;

beforeAll(async () => {
  port = await unusedPort();
  lab = await createLab({ rules: [rule(host, { ports: [port], http: [{ methods: ['GET'], path: '/allowed' }] })] });
  await lab.openSame(host, port);
  folder = await mkdtemp(join(tmpdir(), 'casemate-clients-'));
  await writeFile(join(folder, 'ca.pem'), lab.authority.certificatePem);
  await writeFile(join(folder, 'package.json'), '{"name":"mine","version":"1.0.0"}');
});
afterAll(async () => {
  await lab.close();
  await rm(folder, { recursive: true, force: true });
});

function run(file: string, args: readonly string[], env: Record<string, string> = {}): Promise<string> {
  return new Promise((resolve) => {
    const settings = { PATH: process.env['PATH'] ?? '', HOME: folder, ...env };
    execFile(file, args, { cwd: folder, env: settings, timeout: 60_000 }, (_error, stdout, stderr) =>
      resolve(`${stdout}${stderr}`),
    );
  });
}

test('curl prints the answer', async () => {
  const url = `https://${host}:${port}/pkg`;
  const text = await run('curl', [
    '-sS',
    '--cacert',
    join(folder, 'ca.pem'),
    '--resolve',
    `${host}:${port}:127.0.0.1`,
    '-X',
    'PUT',
    url,
  ]);
  expect(text).toContain('casemate: blocked by the network policy of this sandbox');
  expect(text).toContain(`missing  { host: ${host}, ports: [${port}], allow: ["PUT /pkg"] }`);
  expect(text).toContain(`casemate policy propose ${host}:${port} --method PUT --path /pkg`);
});

test('npm prints the sentence behind its number', async () => {
  // npm asks the resolver itself; a proxy of its own setting stands for the name.
  const text = await run('npm', ['publish', '--offline=false', '--fetch-retries=0'], {
    npm_config_registry: `https://${host}:${port}/`,
    npm_config_cafile: join(folder, 'ca.pem'),
    [`npm_config_//${host}:${port}/:_authToken`]: 'x',
    NODE_OPTIONS: `--require=${join(folder, 'names.cjs')}`,
  });
  expect(text).toMatch(
    /npm error.*403.*casemate: the rules for registry\.example\.com do not allow this method and path\. Do not retry/s,
  );
});

beforeAll(async () => {
  const names = `const dns = require('node:dns'); const real = dns.lookup;
dns.lookup = (name, options, done) => name === '${host}' ? real('127.0.0.1', options, done) : real(name, options, done);`;
  await writeFile(join(folder, 'names.cjs'), names);
});

test('the words behind the number name the denial too, for programs that show nothing else', async () => {
  const url = `https://${host}:${port}/simple/x/`;
  const settings = ['--cacert', join(folder, 'ca.pem'), '--resolve', `${host}:${port}:127.0.0.1`];
  const text = await run('curl', ['-sS', '--http1.1', '-o', '/dev/null', '-D', '-', ...settings, url]);
  expect(text).toContain('HTTP/1.1 403 Forbidden (casemate: function-not-allowed)');
});
