/** A Docker Engine behind TLS and behind ssh, both on loopback: the same sandbox, and nobody else is spoken to. */
import { createHash } from 'node:crypto';
import { chown, copyFile, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { dockerClient } from '../../src/engines/docker/docker-client.ts';
import { engineFacts } from '../../src/engines/docker/engine-facts.ts';
import type { Endpoint, TlsFiles } from '../../src/engines/docker/place/endpoint.ts';
import { fieldsOf, textOf } from '../../src/engines/docker/read-json.ts';
import { makeHome } from '../helpers/cli.ts';
import { dockerLab, dockerLacks, dockerSocket, workspaceOwner, type DockerLab } from '../helpers/docker-lab.ts';
import {
  forgetHost,
  hasProgram,
  loopbackSsh,
  remappedDockerd,
  makeCertificates,
  tlsDockerd,
  type Certificates,
  type LoopbackSsh,
  type Running,
} from '../helpers/engine-elsewhere.ts';
import { engineOrSkip } from '../helpers/require-engine.ts';

const hasDocker = engineOrSkip('docker', await dockerLacks());
const isRoot = process.getuid?.() === 0;
const missing = (names: readonly string[]): string | undefined => {
  const lacking = names.filter((name) => !hasProgram(name));
  return lacking.length === 0 ? undefined : `not installed: ${lacking.join(', ')}`;
};
const canTls = hasDocker && isRoot && engineOrSkip('docker over TLS', missing(['dockerd', 'openssl']));
const canSsh = hasDocker && isRoot && engineOrSkip('docker over ssh', missing(['docker', 'ssh', 'sshd']));

/** What a command inside needs of the engine: both ways, both streams, an end of input, an exit code. */
async function livesAndWorks(lab: DockerLab): Promise<void> {
  const spec = await lab.started();
  const input = 'x'.repeat(300_000);
  expect(await lab.inside(spec.id, ['wc', '-c'], { input })).toEqual({ code: 0, out: `${input.length}\n`, err: '' });
  expect(await lab.inside(spec.id, ['bash', '-c', 'echo a; echo b >&2; exit 7'])).toEqual({ code: 7, out: 'a\n', err: 'b\n' });
  await lab.engine.remove(spec.id);
  expect(await lab.engine.list(lab.owner)).toEqual([]);
}

const waivers = ['--waive', 'user-namespace', '--waive', 'disk-limit'];

interface ContextFiles {
  readonly name: string;
  readonly address: string;
  readonly files: Required<TlsFiles>;
}

/** As `docker context create` writes it. */
async function dockerContextAt(settings: string, { name, address, files }: ContextFiles): Promise<void> {
  const digest = createHash('sha256').update(name).digest('hex');
  const [meta, tls] = [join(settings, 'contexts/meta', digest), join(settings, 'contexts/tls', digest, 'docker')];
  await Promise.all([meta, tls].map((path) => mkdir(path, { recursive: true })));
  const Endpoints = { docker: { Host: address, SkipTLSVerify: false } };
  await writeFile(join(meta, 'meta.json'), JSON.stringify({ Name: name, Metadata: {}, Endpoints }));
  await Promise.all(Object.entries(files).map(([file, path]) => copyFile(path ?? '', join(tls, `${file}.pem`))));
}

const versionAt = async (endpoint: Endpoint, env?: Readonly<Record<string, string>>): Promise<string> =>
  textOf(fieldsOf(await dockerClient(async () => endpoint, { env }).must('GET', '/version'))['Version']);

describe.skipIf(!canTls)('a Docker Engine behind TLS', () => {
  let folder: string;
  let own: Certificates;
  let other: Certificates;
  let hidden: string;
  let lab: DockerLab;
  let dockerd: Running & { readonly port: number };
  const at = (files: TlsFiles, host = '127.0.0.1'): Endpoint => ({ kind: 'tls', host, port: dockerd.port, files });

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'casemate-tls-'));
    [own, other] = await Promise.all([makeCertificates(join(folder, 'own')), makeCertificates(join(folder, 'other'))]);
    hidden = join(folder, 'hidden');
    await mkdir(hidden);
    dockerd = await tlsDockerd(join(folder, 'engine'), { ...own, hides: hidden });
    lab = await dockerLab('docker', { socket: async () => at(own.client) });
  }, 120_000);
  afterAll(async () => {
    await lab.remove();
    // The note of which image this engine has; the images are those of this machine.
    const { id } = await engineFacts(dockerClient(async () => at(own.client)));
    const note = createHash('sha256').update(id).digest('hex').slice(0, 16);
    const notes = lab.options.folders.images;
    const mine = (await readdir(notes)).filter((name) => name.startsWith(note));
    await Promise.all(mine.map(async (name) => rm(join(notes, name))));
    await dockerd.stop();
    await rm(folder, { recursive: true, force: true, maxRetries: 5 });
  }, 60_000);

  test('is spoken to with the certificates of both, and its sandboxes live and work', { timeout: 300_000 }, async () => {
    expect(await versionAt(at(own.client))).toMatch(/^\d+\./);
    await livesAndWorks(lab);
  });

  test.each([
    ['another folder', 'there', /shows something else at \/workspace/],
    ['no folder', 'absent', /does not see the folders of this host/],
  ])('holds no sandbox where it has %s in the place of the workspace', { timeout: 120_000 }, async (_, name, why) => {
    const path = join(hidden, name);
    await mkdir(path);
    await chown(path, workspaceOwner, workspaceOwner);
    await writeFile(join(path, 'mine'), '');
    const spec = await lab.spec({ workspace: { path, mode: 'direct', protect: [] } });
    await expect(lab.engine.create(spec).then(async () => lab.engine.start(spec.id))).rejects.toThrow(why);
    await lab.engine.remove(spec.id);
    expect(await lab.engine.list(lab.owner)).toEqual([]);
  });

  test('is found by a context from the command line, shown by doctor, and runs a command', { timeout: 300_000 }, async () => {
    const home = await makeHome();
    try {
      await chown(home.project, workspaceOwner, workspaceOwner);
      const settings = join(home.root, 'docker');
      const address = `tcp://127.0.0.1:${dockerd.port}`;
      await dockerContextAt(settings, { name: 'lab', address, files: own.client });
      const env = { DOCKER_HOST: '', DOCKER_CONFIG: settings, DOCKER_CONTEXT: 'lab' };
      const rows = JSON.parse((await home.casemate(['doctor', '--layers', '--json'], { env })).out);
      expect(rows).toContainEqual({
        check: 'docker by DOCKER_CONTEXT (lab)',
        verdict: 'ok',
        detail: expect.stringMatching(new RegExp(`^used: ${address} answers, version `)),
      });
      const ran = await home.casemate(['run', '--engine', 'docker', ...waivers, '--', 'sh', '-c', 'id -u; exit 3'], {
        env,
        timeoutMs: 240_000,
      });
      expect([ran.code, ran.out]).toEqual([3, `${workspaceOwner}\n`]);
      // Which engine was meant is found once for the life of a daemon.
      await home.casemate(['daemon', 'stop', '--force']);
      const plain = await home.casemate(['run', '--engine', 'docker', ...waivers, '--', 'true'], {
        env: { DOCKER_HOST: address },
      });
      expect([plain.code, plain.err]).toEqual([2, expect.stringContaining('without TLS')]);
    } finally {
      await home.remove();
    }
  });

  test('is not spoken to when its certificate is of another authority, or for another name', async () => {
    await expect(versionAt(at({ ...own.client, ca: other.client.ca }))).rejects.toThrow(/certificate|self-signed/);
    await expect(versionAt(at(own.client, 'localhost'))).rejects.toThrow(/altnames|does not match/);
    await expect(versionAt(at({ cert: own.client.cert, key: own.client.key }))).rejects.toThrow(/certificate|self-signed/);
  });

  test('does not answer who shows a certificate of another authority, or none', async () => {
    await expect(versionAt(at({ ...other.client, ca: own.client.ca }))).rejects.toThrow(/cannot talk to the engine/);
    await expect(versionAt(at({ ca: own.client.ca }))).rejects.toThrow(/cannot talk to the engine/);
  });
});

describe.skipIf(!canSsh)('a Docker Engine behind ssh', () => {
  let folder: string;
  let ssh: LoopbackSsh;
  const at = (changes: Partial<Extract<Endpoint, { kind: 'ssh' }>> = {}): Endpoint => {
    const { port, user, identity } = ssh;
    return { kind: 'ssh', host: '127.0.0.1', port, user, identity, socket: dockerSocket, client: 'docker', ...changes };
  };

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'casemate-ssh-'));
    ssh = await loopbackSsh(folder);
  }, 120_000);
  afterAll(async () => {
    await ssh.stop();
    await rm(folder, { recursive: true, force: true, maxRetries: 5 });
  }, 60_000);

  test('is spoken to with a key, and its sandboxes live and work', { timeout: 300_000 }, async () => {
    expect(await versionAt(at(), ssh.env)).toMatch(/^\d+\./);
    const lab = await dockerLab('docker', { socket: async () => at(), env: ssh.shared });
    try {
      await livesAndWorks(lab);
    } finally {
      await lab.remove();
    }
  });

  test('is not had with another key, or where its socket is not, and ssh says why', async () => {
    await expect(versionAt(at({ identity: join(folder, 'host') }), ssh.env)).rejects.toThrow(/Permission denied/);
    await expect(versionAt(at({ socket: '/nonexistent.sock' }), ssh.env)).rejects.toThrow(
      /cannot talk to the engine at ssh:.*nonexistent/,
    );
  });

  test('is not spoken to when nobody knows its host', async () => {
    await forgetHost(folder);
    await expect(versionAt(at(), ssh.env)).rejects.toThrow(/Host key verification failed/);
  });
});

const canRemap = hasDocker && isRoot && engineOrSkip('docker with userns-remap', missing(['dockerd']));

describe.skipIf(!canRemap)('a Docker Engine that gives its containers other ids', () => {
  test('is not asked for any, is told of in one line, and is not chosen', { timeout: 120_000 }, async () => {
    const folder = await mkdtemp(join(tmpdir(), 'casemate-ids-'));
    const home = await makeHome();
    const { socket, stop } = await remappedDockerd(folder);
    try {
      await chown(home.project, workspaceOwner, workspaceOwner);
      const env = { DOCKER_HOST: `unix://${socket}` };
      const client = dockerClient(socket);
      expect((await engineFacts(client)).security).toContain('userns');
      const refused = await home.casemate(['run', '--engine', 'docker', ...waivers, '--', 'true'], { env });
      expect([refused.code, refused.err]).toEqual([
        125,
        expect.stringMatching(/other user ids \(userns-remap\).*\n.*engine oci/),
      ]);
      expect(await client.must('GET', '/containers/json', { query: { all: true } })).toEqual([]);
      expect(await client.must('GET', '/images/json')).toEqual([]);
      const { out } = await home.casemate(['plan', '--engine', 'auto'], { env });
      expect(out).toMatch(/docker cannot be used: .*userns-remap/);
    } finally {
      await home.remove();
      await stop();
      await rm(folder, { recursive: true, force: true, maxRetries: 5 });
    }
  });
});
