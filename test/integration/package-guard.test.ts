import { gzipSync } from 'node:zlib';

import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';

import { createLab, rule, type Lab } from '../helpers/gateway-lab.ts';
import { guarding, packageRule } from '../helpers/guarding.ts';
import { rawConnect, talk } from '../helpers/raw-client.ts';
import { sinkAt, type Respond, type Sink } from '../helpers/sink.ts';

/** What registries answer, on real sockets: versions that are too young or on the list are not offered, and are told of. */

const npmHost = 'npm.example.com';
const pypiHost = 'pypi.example.com';
const dayMs = 86_400_000;
const base = Date.now() - 60_000;
const ago = (days: number): string => new Date(base - days * dayMs).toISOString();

const manifest = (version: string) => ({
  name: 'alpha',
  version,
  dist: {
    tarball: `http://${npmHost}/alpha/-/alpha-${version}.tgz`,
    integrity: `sha512-${version}`,
    signatures: [{ keyid: 'k', sig: 's' }],
  },
});
const versions = ['1.0.0', '1.1.0', '1.2.0-beta.1', '1.2.0', '2.0.0'];
const ages: Readonly<Record<string, number>> = { '1.0.0': 400, '1.1.0': 90, '1.2.0-beta.1': 80, '1.2.0': 2, '2.0.0': 1 };
const packument = (full: boolean) => ({
  _id: 'alpha',
  name: 'alpha',
  'dist-tags': { latest: '1.2.0', next: '2.0.0', old: '1.0.0' },
  versions: Object.fromEntries(versions.map((version) => [version, manifest(version)])),
  ...(full ? { time: Object.fromEntries(versions.map((version) => [version, ago(ages[version] ?? 0)])) } : {}),
});

const file = (version: string, days: number, more = {}) => ({
  filename: `Some_Pkg-${version}-py3-none-any.whl`,
  url: `http://${pypiHost}/files/Some_Pkg-${version}-py3-none-any.whl`,
  hashes: { sha256: version.replaceAll('.', '0') },
  'upload-time': ago(days),
  ...more,
});
const simple = {
  meta: { 'api-version': '1.1' },
  name: 'some-pkg',
  versions: ['1.0', '2.0', '3.0'],
  files: [file('1.0', 300), file('2.0', 30, { 'requires-python': '>=3.9' }), file('3.0', 2)],
};
const project = {
  info: { name: 'Some_Pkg', version: '3.0' },
  releases: Object.fromEntries(
    simple.files.map(({ filename, 'upload-time': time }, index) => [
      `${index + 1}.0`,
      [{ filename, upload_time_iso_8601: time }],
    ]),
  ),
  urls: [{ filename: 'Some_Pkg-3.0-py3-none-any.whl', upload_time_iso_8601: ago(2) }],
};

let speaksJson = true;

const npmRegistry: Respond = (request, response) => {
  const path = request.url ?? '';
  const wantsShort = String(request.headers['accept']).includes('install-v1');
  if (path.endsWith('.tgz')) {
    response.end('tarball');
  } else if (path === '/alpha') {
    response.writeHead(200, {
      'content-type': wantsShort ? 'application/vnd.npm.install-v1+json' : 'application/json',
      'content-encoding': 'gzip',
      etag: '"up"',
    });
    response.end(gzipSync(JSON.stringify(packument(!wantsShort))));
  } else if (path === '/undated') {
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ ...packument(false), name: 'undated' }));
  } else if (/^\/alpha\/\d/.test(path)) {
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(manifest(path.split('/')[2] ?? '')));
  } else {
    response.writeHead(404, { 'content-type': 'application/json' }).end('{"error":"not found"}');
  }
};

const index: Respond = (request, response) => {
  const path = request.url ?? '';
  if (path.endsWith('/json')) {
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(project));
  } else if (path.startsWith('/files/')) {
    const version = path.split('-')[1] ?? '';
    const found = simple.files.find(({ filename }) => filename.includes(`-${version}-`));
    response.writeHead(200, { 'last-modified': new Date(found?.['upload-time'] ?? 0).toUTCString() }).end('wheel');
  } else if (speaksJson) {
    response.writeHead(200, { 'content-type': 'application/vnd.pypi.simple.v1+json' }).end(JSON.stringify(simple));
  } else {
    const rows = simple.files.map(({ filename, url }) => `<a href="${url}#sha256=1">${filename}</a><br>`);
    response.writeHead(200, { 'content-type': 'text/html' }).end(`<html><body>${rows.join('\n')}</body></html>`);
  }
};

let lab: Lab;
let sinks: readonly Sink[];

async function start(more: Parameters<typeof packageRule>[0], locked: readonly string[] = []): Promise<void> {
  const http = [{ methods: undefined, path: '/**' }];
  lab = await createLab({
    rules: [npmHost, pypiHost].map((host) => rule(host, { ports: [80], http })),
    sandbox: {
      guarding: guarding({
        locked: new Set(locked),
        rules: {
          packages: [packageRule(more)],
          registries: [
            { ecosystem: 'npm', host: npmHost },
            { ecosystem: 'pypi', host: pypiHost },
          ],
        },
      }),
    },
  });
  sinks = [
    await sinkAt(lab, npmHost, 80, { plain: true, respond: npmRegistry }),
    await sinkAt(lab, pypiHost, 80, { plain: true, respond: index }),
  ];
}

async function stop(): Promise<void> {
  sinks.forEach((sink) => sink.close());
  await lab.close();
}

async function get(host: string, path: string, lines = ''): Promise<{ status: number; head: string; text: string }> {
  const socket = await rawConnect(await lab.open(host, 80));
  const { text } = await talk(socket, [`GET ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n${lines}\r\n`]);
  const at = text.indexOf('\r\n\r\n');
  return { status: Number(text.slice(9, 12)), head: text.slice(0, at), text: text.slice(at + 4) };
}

const shortForm =
  'Accept: application/vnd.npm.install-v1+json; q=1.0, application/json; q=0.8, */*\r\nAccept-Encoding: gzip, br\r\n';

describe('npm, with an age of seven days', () => {
  beforeAll(() => start({ minAgeMs: 7 * dayMs }));
  afterAll(stop);

  test.each([
    ['the short form', shortForm],
    ['the long form', 'Accept: application/json\r\n'],
    ['no form named', ''],
  ])('%s: young versions are not there, latest is the newest that is, and the reason is told', async (_form, lines) => {
    const { status, head, text } = await get(npmHost, '/alpha', lines);
    const found = JSON.parse(text) as ReturnType<typeof packument>;
    expect(status).toBe(200);
    expect(Object.keys(found.versions)).toEqual(['1.0.0', '1.1.0', '1.2.0-beta.1']);
    expect(found['dist-tags']).toEqual({ latest: '1.1.0', old: '1.0.0' });
    expect(found.versions['1.1.0']).toEqual(manifest('1.1.0'));
    expect(head).toMatch(
      /npm-notice: casemate withholds of alpha: .*2\.0\.0 \(it was published 24 h \d+ min ago, and "packages\.minAge" is 7 days\)/,
    );
    expect(head).not.toContain('"up"');
  });

  test('asked again with the tag of the answer, nothing has changed', async () => {
    const first = await get(npmHost, '/alpha', shortForm);
    const tag = /etag: (.*)/.exec(first.head)?.[1] ?? '';
    expect((await get(npmHost, '/alpha', `${shortForm}If-None-Match: ${tag}\r\n`)).status).toBe(304);
    expect((await get(npmHost, '/alpha', `${shortForm}If-None-Match: "up"\r\n`)).status).toBe(200);
  });

  test('an archive is given or withheld as its metadata says, asked for or not', async () => {
    expect((await get(npmHost, '/alpha/-/alpha-1.1.0.tgz')).text).toContain('tarball');
    const young = await get(npmHost, '/alpha/-/alpha-1.2.0.tgz', 'User-Agent: npm/10\r\nAccept: application/json\r\n');
    expect(young.status).toBe(403);
    expect(young.head).toContain('x-casemate-denied: package-withheld');
    expect(young.text).toContain('alpha 1.2.0 is withheld: it was published');
    expect((await get(npmHost, '/alpha/-/alpha-9.9.9.tgz')).status).toBe(403);
    expect((await get(npmHost, '/alpha/-/%61lpha-1.2.0.tgz')).status).toBe(403);
  });

  test('one version by itself is judged, too', async () => {
    expect((await get(npmHost, '/alpha/1.1.0')).status).toBe(200);
    expect((await get(npmHost, '/alpha/2.0.0')).status).toBe(403);
  });

  test('where nobody says when versions were published, none is offered', async () => {
    const { status, text } = await get(npmHost, '/undated');
    expect(status).toBe(403);
    expect(text).toContain('the registry does not say when it was published');
  });

  test('what is no package passes as it is', async () => {
    expect(await get(npmHost, '/-/ping')).toMatchObject({ status: 404, text: expect.stringContaining('{"error":"not found"}') });
  });
});

describe('npm, with a lock file, a list and exceptions', () => {
  beforeAll(() =>
    start({ minAgeMs: 7 * dayMs, block: [{ ecosystem: 'npm', name: 'alpha', range: '<1.1' }] }, [
      'npm:alpha@2.0.0',
      'npm:alpha@1.0.0',
    ]),
  );
  afterAll(stop);

  test('a locked version may be fetched and is on record, is never the one that is chosen, and no lock lifts a block', async () => {
    expect((await get(npmHost, '/alpha/-/alpha-2.0.0.tgz')).text).toContain('tarball');
    await lab.settled();
    expect(lab.entries.findLast((entry) => entry.action === 'net.exchange')?.detail).toMatchObject({ locked: true });
    const found = JSON.parse((await get(npmHost, '/alpha', shortForm)).text) as ReturnType<typeof packument>;
    expect(Object.keys(found.versions)).toEqual(['1.1.0', '1.2.0-beta.1', '2.0.0']);
    expect(found['dist-tags'].latest).toBe('1.1.0');
    expect((await get(npmHost, '/alpha/-/alpha-1.0.0.tgz')).text).toContain('it is on the list "packages.block"');
    expect((await get(npmHost, '/alpha/-/alpha-1.2.0.tgz')).status).toBe(403);
  });
});

describe('PyPI, with an age of seven days', () => {
  beforeAll(() => start({ minAgeMs: 7 * dayMs }));
  afterAll(stop);
  beforeEach(() => {
    speaksJson = true;
  });

  test('the index in JSON', async () => {
    const { head, text } = await get(
      pypiHost,
      '/simple/some-pkg/',
      'Accept: application/vnd.pypi.simple.v1+json, text/html;q=0.1\r\n',
    );
    const found = JSON.parse(text) as typeof simple;
    expect(found.files.map(({ filename }) => filename)).toEqual(simple.files.slice(0, 2).map(({ filename }) => filename));
    expect(found.versions).toEqual(['1.0', '2.0']);
    expect(head).toContain(
      'x-casemate-withheld: casemate withholds of some-pkg: Some_Pkg-3.0-py3-none-any.whl (it was published',
    );
  });

  test('the index in HTML, for those who read nothing else', async () => {
    const { text } = await get(pypiHost, '/simple/some-pkg/', 'Accept: text/html\r\n');
    expect(text).toContain('data-requires-python="&gt;=3.9">Some_Pkg-2.0-py3-none-any.whl</a>');
    expect(text).toContain('#sha256=200');
    expect(text).not.toContain('Some_Pkg-3.0');
  });

  test('an index that has HTML alone, by the dates of the other interface', async () => {
    speaksJson = false;
    const { text } = await get(pypiHost, '/simple/some-pkg/', 'Accept: text/html\r\n');
    expect(text).toContain('Some_Pkg-2.0-py3-none-any.whl');
    expect(text).not.toContain('Some_Pkg-3.0');
  });

  test('what is asked for besides is on record as an exchange of its own', async () => {
    speaksJson = false;
    const asked = (): number => sinks.reduce((sum, sink) => sum + sink.seen.length, 0);
    const opened = (): number => lab.actions().filter((action) => action.startsWith('net.open')).length;
    const before = { asked: asked(), opened: opened() };
    await get(pypiHost, '/simple/some-pkg/', 'Accept: text/html\r\n');
    await lab.settled();
    expect(asked() - before.asked).toBe(2);
    expect(opened() - before.opened).toBe(2);
  });

  test('the project by itself', async () => {
    const found = JSON.parse((await get(pypiHost, '/pypi/some-pkg/json')).text) as typeof project;
    expect(Object.keys(found.releases)).toEqual(['1.0', '2.0']);
    expect(found.info.version).toBe('2.0');
    expect(JSON.stringify(found)).not.toContain('Some_Pkg-3.0');
  });

  test('files, also without the index', async () => {
    expect((await get(pypiHost, '/files/Some_Pkg-2.0-py3-none-any.whl')).text).toContain('wheel');
    const young = await get(pypiHost, '/files/Some_Pkg-3.0-py3-none-any.whl');
    expect(young.status).toBe(403);
    expect(young.text).toContain('some-pkg 3.0 is withheld');
    expect((await get(pypiHost, '/files/Some_Pkg-3.0-py3-none-any.whl.metadata')).status).toBe(403);
  });
});
