import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

import { listen } from './gateway-lab.ts';
import { run } from '../../src/system/process.ts';

/** A small registry of npm and Python packages on loopback, with true archives, whose versions have the ages they are given. */
export interface Registry {
  readonly port: number;
  /** `METHOD path`, in order */
  readonly asked: string[];
  readonly npmIntegrity: (name: string, version: string) => string;
  readonly close: () => void;
}

export interface Published {
  readonly ecosystem: 'npm' | 'pypi';
  readonly name: string;
  readonly version: string;
  readonly ageDays: number;
}

interface Made extends Published {
  readonly file: string;
  readonly archive: Buffer;
  readonly at: Date;
}

/** `host`: the name under which clients know it. */
export async function startRegistry(host: string, published: readonly Published[]): Promise<Registry> {
  const made = await Promise.all(published.map(make));
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(`${request.method ?? ''} ${request.url ?? ''}`);
    answer(request, response, { host, made });
  });
  const port = await listen(server);
  return {
    port,
    asked,
    npmIntegrity: (name, version) => integrity(made.find((one) => one.name === name && one.version === version)?.archive),
    close: () => void server.close(),
  };
}

async function make(one: Published): Promise<Made> {
  const { ecosystem, name, version } = one;
  const folder = await mkdtemp(join(tmpdir(), 'casemate-registry-'));
  const put = async (path: string, text: string): Promise<void> => {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), text);
  };
  const env = { PATH: process.env['PATH'] ?? '/usr/bin:/bin' };
  const file = ecosystem === 'npm' ? `${name}-${version}.tgz` : `${name}-${version}-py3-none-any.whl`;
  if (ecosystem === 'npm') {
    await put('package/package.json', JSON.stringify({ name, version, main: 'index.js' }));
    await put('package/index.js', `module.exports = ${JSON.stringify(version)};\n`);
    await run('tar', ['-czf', file, 'package'], { cwd: folder, env });
  } else {
    const info = `${name}-${version}.dist-info`;
    await put(`${name}.py`, `version = ${JSON.stringify(version)}\n`);
    await put(`${info}/METADATA`, `Metadata-Version: 2.1\nName: ${name}\nVersion: ${version}\n`);
    await put(`${info}/WHEEL`, 'Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n');
    await put(`${info}/RECORD`, `${name}.py,,\n${info}/METADATA,,\n${info}/WHEEL,,\n${info}/RECORD,,\n`);
    await run('python3', ['-m', 'zipfile', '-c', file, `${name}.py`, `${info}/`], { cwd: folder, env });
  }
  const archive = await readFile(join(folder, file));
  await rm(folder, { recursive: true });
  return { ...one, file, archive, at: new Date(Date.now() - one.ageDays * 86_400_000) };
}

function integrity(archive: Buffer | undefined): string {
  return `sha512-${createHash('sha512')
    .update(archive ?? '')
    .digest('base64')}`;
}

interface Shelf {
  readonly host: string;
  readonly made: readonly Made[];
}

function answer(request: IncomingMessage, response: ServerResponse, shelf: Shelf): void {
  const path = request.url ?? '';
  const archive = shelf.made.find(({ file }) => path.endsWith(`/${file}`));
  if (archive !== undefined) {
    response.writeHead(200, { 'content-type': 'application/octet-stream', 'last-modified': archive.at.toUTCString() });
    response.end(archive.archive);
    return;
  }
  const project = /^\/simple\/([^/]+)\/$/.exec(path)?.[1];
  const found = shelf.made.filter(({ name, ecosystem }) =>
    project === undefined ? path === `/${name}` && ecosystem === 'npm' : name === project,
  );
  if (found.length === 0) {
    response.writeHead(404, { 'content-type': 'application/json' }).end('{"error":"not found"}');
  } else if (project === undefined) {
    sendPackument(request, response, { ...shelf, made: found });
  } else {
    sendIndex(response, { ...shelf, made: found });
  }
}

function sendPackument(request: IncomingMessage, response: ServerResponse, { host, made }: Shelf): void {
  const isShort = String(request.headers.accept).includes('application/vnd.npm.install-v1+json');
  const versions = made.map(({ name, version, file, archive }) => [
    version,
    { name, version, dist: { tarball: `http://${host}/${name}/-/${file}`, integrity: integrity(archive) } },
  ]);
  const document = {
    name: made[0]?.name,
    'dist-tags': { latest: made.at(-1)?.version },
    versions: Object.fromEntries(versions),
    ...(isShort ? {} : { time: Object.fromEntries(made.map(({ version, at }) => [version, at.toISOString()])) }),
  };
  response.writeHead(200, { 'content-type': isShort ? 'application/vnd.npm.install-v1+json' : 'application/json' });
  response.end(JSON.stringify(document));
}

function sendIndex(response: ServerResponse, { host, made }: Shelf): void {
  const files = made.map(({ file, archive, at }) => ({
    filename: file,
    url: `http://${host}/files/${file}`,
    hashes: { sha256: createHash('sha256').update(archive).digest('hex') },
    'upload-time': at.toISOString(),
  }));
  response.writeHead(200, { 'content-type': 'application/vnd.pypi.simple.v1+json' });
  response.end(
    JSON.stringify({ meta: { 'api-version': '1.1' }, name: made[0]?.name, versions: made.map(({ version }) => version), files }),
  );
}
