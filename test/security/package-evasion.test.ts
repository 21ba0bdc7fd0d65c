import { afterEach, expect, test } from 'vitest';

import { createLab, rule, type Lab } from '../helpers/gateway-lab.ts';
import { guarding, packageRule } from '../helpers/guarding.ts';
import { rawConnect, talk } from '../helpers/raw-client.ts';
import { sinkAt, type Sink } from '../helpers/sink.ts';

/**
 * The threat: a package that is to be withheld, asked for under another address or in another form, where the rules
 * allow every path of the registry. The registry here passes over all that a lenient server would.
 */

const host = 'npm.example.com';
const young = new Date(Date.now() - 3_600_000);
const old = new Date(Date.now() - 400 * 86_400_000);
let lab: Lab;
let sink: Sink;
afterEach(async () => {
  sink.close();
  await lab.close();
});

async function start(type: string): Promise<number> {
  lab = await createLab({
    rules: [rule(host, { ports: [80] })],
    sandbox: {
      guarding: guarding({
        rules: {
          packages: [packageRule({ minAgeMs: 30 * 86_400_000, block: [{ ecosystem: 'npm', name: 'bad', range: undefined }] })],
          registries: [{ host, ecosystem: 'npm' }],
        },
      }),
    },
  });
  sink = await sinkAt(lab, host, 80, {
    plain: true,
    respond(request, response) {
      const path = request.url ?? '';
      if (/tgz/i.test(path)) {
        const at = path.includes('1.0.0') ? old : young;
        response.writeHead(200, { 'content-type': 'application/octet-stream', 'last-modified': at.toUTCString() });
        response.end('tarball');
        return;
      }
      response.writeHead(200, type === '' ? {} : { 'content-type': type });
      const versions = { '1.0.0': { name: 'alpha', version: '1.0.0' }, '2.0.0': { name: 'alpha', version: '2.0.0' } };
      const time = { '1.0.0': old.toISOString(), '2.0.0': young.toISOString() };
      response.end(JSON.stringify({ name: 'alpha', 'dist-tags': { latest: '2.0.0' }, versions, time }));
    },
  });
  return await lab.open(host, 80);
}

async function get(port: number, path: string, lines = ''): Promise<string> {
  const { text } = await talk(
    await rawConnect(port),
    [`GET ${path} HTTP/1.1\r\nHost: ${host}\r\n${lines}Connection: close\r\n\r\n`],
    {
      quietMs: 3000,
    },
  );
  return text;
}

test.each([
  '/alpha/-/alpha-2.0.0.tgz',
  '/alpha/-/alpha-2.0.0.tgz/',
  '/alpha//-/alpha-2.0.0.tgz',
  '//alpha/-/alpha-2.0.0.tgz',
  '/alpha/./-/alpha-2.0.0.tgz',
  '/x/../alpha/-/alpha-2.0.0.tgz',
  '/alpha/%252d/alpha-2.0.0.tgz',
  '/alpha/-/alpha-2.0.0.tgz;x',
  '/alpha/-/alpha-2.0.0.TGZ',
  '/alpha/-/a/b/alpha-2.0.0.tgz',
  '/alpha/download/alpha-2.0.0.tgz',
  '/alpha%2f-%2falpha-2.0.0.tgz',
  '/bad/-/bad-1.0.0.tgz',
  '/bad/download/bad-1.0.0.tgz',
  '/bad;x/-/bad-1.0.0.tgz',
  '/bad/-;x=y/bad-1.0.0.tgz',
  '/bad/-/bad-1.0.0.tgz%3Fx',
  '/bad/-/bad-1.0.0.tgz%00',
  '/bad/-/bad-1.0.0.tgz%20',
  '/bad/-/bad-1.0.0.tgz.',
  '/bad./download/bad-1.0.0.tgz%23x/y',
])('%s is withheld, while an old version is not', async (path) => {
  const port = await start('application/json');
  expect(await get(port, path)).toMatch(/^HTTP\/1\.1 403 [\s\S]*package-withheld/);
  expect(await get(port, '/alpha/-/alpha-1.0.0.tgz')).toMatch(/^HTTP\/1\.1 200 [\s\S]*tarball/);
});

test("what a client says it wants does not make another kind of registry of the policy's", async () => {
  const port = await start('application/json');
  const asPython = 'Accept: application/vnd.pypi.simple.v1+json\r\n';
  expect(await get(port, '/bad/download/bad-1.0.0.tgz', asPython)).toMatch(/^HTTP\/1\.1 403 [\s\S]*package-withheld/);
});

test.each(['application/json', 'text/plain', 'application/octet-stream', 'text/javascript', ''])(
  'metadata of type "%s" is read',
  async (type) => {
    const port = await start(type);
    const answer = await get(port, '/alpha');
    expect(answer).toMatch(/^HTTP\/1\.1 200 /);
    expect(answer).toContain('"1.0.0"');
    expect(answer).not.toContain('"version":"2.0.0"');
    expect(await get(port, '/alpha/')).not.toContain('"version":"2.0.0"');
  },
);
