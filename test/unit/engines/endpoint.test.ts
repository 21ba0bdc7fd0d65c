/** Where an engine is: addresses that are spoken to and those that are refused, and in which order places count. */
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { dockerPlaces } from '../../../src/engines/docker/place/docker-places.ts';
import { addressOf, endpointOf, type Endpoint, type SshEndpoint } from '../../../src/engines/docker/place/endpoint.ts';
import { chosen } from '../../../src/engines/docker/place/places.ts';
import { isSameChoice } from '../../../src/engines/engine-choice.ts';
import { engineChoice } from '../../../src/engines/registry.ts';
import { inSettings, podmanPlaces } from '../../../src/engines/docker/place/podman-places.ts';
import { sshArguments } from '../../../src/engines/docker/place/ssh-stream.ts';
import { environmentOf } from '../../../src/system/environment.ts';

const plain = { source: 'DOCKER_HOST', client: 'docker' } as const;
const tls = { ca: '/c/ca.pem', cert: '/c/cert.pem', key: '/c/key.pem' };
let home = '';

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'casemate-places-'));
});
afterAll(() => rm(home, { recursive: true, force: true }));

describe('an address of an engine', () => {
  it.each([
    ['unix:///run/docker.sock', { kind: 'unix', path: '/run/docker.sock' }],
    ['tcp://10.1.2.3:2376', { kind: 'tls', host: '10.1.2.3', port: 2376, files: tls }],
    ['tcp://[::1]', { kind: 'tls', host: '::1', port: 2376, files: tls }],
    ['ssh://me@box.lan:2222', { kind: 'ssh', host: 'box.lan', user: 'me', port: 2222, client: 'docker' }],
    ['ssh://box/run/user/1000/docker.sock', { kind: 'ssh', host: 'box', socket: '/run/user/1000/docker.sock', client: 'docker' }],
  ])('%s is understood', (address, endpoint) => {
    expect(endpointOf(address, { ...plain, tls })).toEqual(endpoint);
  });

  it.each([
    ['tcp://127.0.0.1:2375', /without TLS/],
    ['tcp://engine.lan', /without TLS/],
    ['http://engine.lan', /is http/],
    ['npipe:////./pipe/docker_engine', /is npipe/],
    ['unix://relative', /is unix/],
    ['ssh://-oProxyCommand=id/', /names no host/],
    ['ssh://-oProxyCommand=id@box', /names the user -oProxyCommand/],
    ['ssh://box;id', /names no host/],
    ['ssh://box/$(id)', /more than an address/],
    ['ssh://box/a%20b', /more than an address/],
    ['ssh://box?x', /more than an address/],
    ['ssh://me:word@box', /holds a password/],
    ['ssh://', /./],
  ])('%s is refused', (address, why) => {
    expect(() => endpointOf(address, plain)).toThrow(why);
  });

  it('with a password is not repeated', () => {
    expect(() => endpointOf('ssh://me:word@box', plain)).not.toThrow(/word@/);
  });

  it('is shown as it could be written', () => {
    const addresses = ['unix:///a', 'tcp://[::1]:2376', 'tcp://h:1', 'ssh://me@h:22/run/d.sock', 'ssh://h'];
    expect(addresses.map((one) => addressOf(endpointOf(one, { ...plain, tls })))).toEqual(addresses);
  });
});

describe('the arguments of ssh', () => {
  const ssh: SshEndpoint = { kind: 'ssh', host: 'box', client: 'docker' };

  it('ask nobody, and have the host behind the end of the options', () => {
    expect(sshArguments(ssh)).toEqual([
      '-T',
      '-o',
      'BatchMode=yes',
      '-o',
      'ConnectTimeout=30',
      '--',
      'box',
      'docker',
      'system',
      'dial-stdio',
    ]);
  });

  it('name user, port, key and the socket there', () => {
    const all = sshArguments({ ...ssh, user: 'me', port: 22, identity: '/k', socket: '/run/p.sock', client: 'podman' });
    expect(all.slice(5).join(' ')).toBe('-l me -p 22 -i /k -- box podman --remote --url unix:///run/p.sock system dial-stdio');
  });
});

describe('the places of Docker', () => {
  const places = async (values: Readonly<Record<string, string>>): Promise<Endpoint> =>
    chosen(await dockerPlaces(environmentOf({ HOME: home, ...values })));

  beforeAll(async () => {
    await context('lab', 'tcp://10.0.0.1:2376', { certificates: true });
    await context('bare', 'tcp://10.0.0.2:2375');
    await context('far', 'ssh://me@far');
    await context('blind', 'tcp://10.0.0.3:2376', { certificates: true, blind: true });
    await writeFile(
      join(home, '.docker/config.json'),
      JSON.stringify({ currentContext: 'far', auths: { x: { auth: 'secret' } } }),
    );
  });

  it('count in the order of Docker: DOCKER_HOST, DOCKER_CONTEXT, the chosen context, the sockets', async () => {
    const both = { DOCKER_HOST: 'unix:///a.sock', DOCKER_CONTEXT: 'lab' };
    expect(await places(both)).toEqual({ kind: 'unix', path: '/a.sock' });
    expect(await places({ DOCKER_CONTEXT: 'lab' })).toMatchObject({ kind: 'tls', host: '10.0.0.1' });
    expect(await places({})).toMatchObject({ kind: 'ssh', host: 'far' });
    expect(await places({ DOCKER_CONTEXT: 'default', DOCKER_CONFIG: '/nonexistent' })).toMatchObject({ kind: 'unix' });
  });

  it('have the certificates of the context', async () => {
    const files = join(home, '.docker/contexts/tls', digestOf('lab'), 'docker');
    expect(await places({ DOCKER_CONTEXT: 'lab' })).toMatchObject({
      files: { ca: join(files, 'ca.pem'), key: join(files, 'key.pem') },
    });
  });

  it.each([
    [{ DOCKER_CONTEXT: 'none' }, /no context none/],
    [{ DOCKER_CONTEXT: 'bare' }, /without TLS/],
    [{ DOCKER_CONTEXT: 'blind' }, /skip-tls-verify/],
    [{ DOCKER_CONTEXT: '../../x' }, /no context/],
    [{ DOCKER_HOST: 'tcp://10.0.0.1:2376' }, /without TLS/],
    [{ DOCKER_HOST: 'tcp://10.0.0.1:2376', DOCKER_TLS: '1' }, /without TLS/],
  ])('%o names an engine that is refused, and no other is taken in its place', async (values, why) => {
    await expect(places(values)).rejects.toThrow(why);
  });

  it('find certificates by DOCKER_CERT_PATH, else beside the settings', async () => {
    const host = { DOCKER_HOST: 'tcp://10.0.0.1', DOCKER_TLS_VERIFY: '1' };
    expect(await places({ ...host, DOCKER_CERT_PATH: '/certs' })).toMatchObject({ files: { ca: '/certs/ca.pem' } });
    expect(await places(host)).toMatchObject({ files: { cert: join(home, '.docker/cert.pem') } });
  });

  it('say why each that counts for nothing does', async () => {
    const rows = await dockerPlaces(environmentOf({ HOME: '/nonexistent' }));
    expect(rows.slice(0, 3).map(({ unset }) => unset)).toEqual(['not set', 'not set', 'not set']);
  });
});

describe('the places of Podman', () => {
  const places = async (values: Readonly<Record<string, string>>, uid = 0): Promise<Endpoint> =>
    chosen(await podmanPlaces(environmentOf({ HOME: home, ...values }), uid));
  const settings =
    '[containers]\nuri = "no"\n[engine]\nactive_service = "box"\n[engine.service_destinations]\n' +
    '[engine.service_destinations.box]\nuri = "ssh://core@box:22/run/podman/podman.sock"\nidentity = "/k/id"\n' +
    '[engine.service_destinations."an other"]\nuri = "unix:///x"\n';

  it('are CONTAINER_HOST, CONTAINER_CONNECTION, the default connection, and the sockets', async () => {
    const older = join(home, 'containers.conf');
    await writeFile(older, settings);
    const named = { CONTAINERS_CONF: older, CONTAINER_CONNECTION: 'an other' };
    expect(await places({ ...named, CONTAINER_HOST: 'unix:///p.sock' })).toEqual({ kind: 'unix', path: '/p.sock' });
    expect(await places(named)).toEqual({ kind: 'unix', path: '/x' });
    expect(await places({ CONTAINERS_CONF: older })).toEqual({
      kind: 'ssh',
      host: 'box',
      user: 'core',
      port: 22,
      socket: '/run/podman/podman.sock',
      identity: '/k/id',
      client: 'podman',
    });
    expect(await places({})).toEqual({ kind: 'unix', path: '/run/podman/podman.sock' });
    expect(await places({ XDG_RUNTIME_DIR: '/run/user/7' }, 7)).toEqual({ kind: 'unix', path: '/run/user/7/podman/podman.sock' });
  });

  it('are read from the file that Podman 5 has for them first', async () => {
    const newer = join(home, 'podman-connections.json');
    const Connections = { a: { URI: 'unix:///a.sock' }, b: { URI: 'tcp://10.0.0.1:1' } };
    await writeFile(newer, JSON.stringify({ Connection: { Default: 'a', Connections } }));
    expect(await places({ PODMAN_CONNECTIONS_CONF: newer })).toEqual({ kind: 'unix', path: '/a.sock' });
    await expect(places({ PODMAN_CONNECTIONS_CONF: newer, CONTAINER_CONNECTION: 'b' })).rejects.toThrow(/without TLS/);
    await expect(places({ PODMAN_CONNECTIONS_CONF: newer, CONTAINER_CONNECTION: 'c' })).rejects.toThrow(/no connection c/);
  });

  it('take nothing of other tables', () => {
    expect([...inSettings(settings).byName.keys()]).toEqual(['box', 'an other']);
  });
});

function digestOf(name: string): string {
  return createHash('sha256').update(name).digest('hex');
}

async function context(name: string, host: string, { certificates = false, blind = false } = {}): Promise<void> {
  const contexts = join(home, '.docker/contexts');
  const meta = join(contexts, 'meta', digestOf(name));
  await mkdir(meta, { recursive: true });
  const Endpoints = { docker: { Host: host, SkipTLSVerify: blind } };
  await writeFile(join(meta, 'meta.json'), JSON.stringify({ Name: name, Metadata: {}, Endpoints }));
  if (certificates) {
    const files = join(contexts, 'tls', digestOf(name), 'docker');
    await mkdir(files, { recursive: true });
    await Promise.all(['ca', 'cert', 'key'].map((file) => writeFile(join(files, `${file}.pem`), '')));
  }
}

describe('two environments', () => {
  const same = async (one: Readonly<Record<string, string>>, other: Readonly<Record<string, string>>): Promise<boolean> => {
    const [first, second] = await Promise.all(
      [one, other].map(async (values) => engineChoice('docker', { env: environmentOf({ HOME: home, ...values }), uid: 1000 })),
    );
    return first !== undefined && second !== undefined && isSameChoice(first, second);
  };

  it.each([
    [{}, {}, true],
    // The usual socket, wherever each sees it.
    [{}, { XDG_RUNTIME_DIR: '/run/user/7' }, true],
    [{ DOCKER_HOST: 'unix:///a.sock' }, { DOCKER_HOST: 'unix:///a.sock' }, true],
    [{ DOCKER_HOST: 'unix:///a.sock' }, { DOCKER_HOST: 'unix:///b.sock' }, false],
    [{ DOCKER_HOST: 'unix:///a.sock' }, {}, false],
    [{ DOCKER_HOST: 'tcp://10.0.0.1' }, { DOCKER_HOST: 'tcp://10.0.0.1', DOCKER_TLS_VERIFY: '1' }, false],
    [{ DOCKER_HOST: 'ssh://one@host' }, { DOCKER_HOST: 'ssh://two@host' }, false],
    [{ CASEMATE_DOCKER_UPLINK: 'host' }, {}, false],
    [{ CASEMATE_DOCKER_UPLINK: 'host' }, { CASEMATE_DOCKER_UPLINK: 'host' }, true],
    [{ CASEMATE_DOCKER_UPLINK: 'host' }, { CASEMATE_DOCKER_UPLINK: 'host:10.0.2.2' }, false],
    [{ CASEMATE_DOCKER_KERNEL: 'other' }, {}, false],
    [{ CASEMATE_DOCKER_KERNEL: 'other' }, { CASEMATE_DOCKER_KERNEL: 'other' }, true],
  ])('%o and %o mean the same engine: %s', async (one, other, expected) => {
    expect(await same(one, other)).toBe(expected);
  });

  it('mean the same socket by its own name and by that of a link', async () => {
    await writeFile(join(home, 'engine.sock'), '');
    await symlink(home, join(home, 'link'));
    const [own, linked] = [home, join(home, 'link')].map((folder) => ({ DOCKER_HOST: `unix://${folder}/engine.sock` }));
    expect(await same(own ?? {}, linked ?? {})).toBe(true);
  });

  it.each([
    ['CASEMATE_DOCKER_UPLINK', 'yes'],
    ['CASEMATE_DOCKER_UPLINK', 'bridge'],
    ['CASEMATE_DOCKER_UPLINK', 'host:-x'],
    ['CASEMATE_DOCKER_KERNEL', 'yes'],
  ])('have no engine where a word is not known: %s=%s', async (name, value) => {
    const choice = await engineChoice('docker', { env: environmentOf({ [name]: value }), uid: 1000 });
    expect(choice).toMatchObject({ isNamed: true, address: `${name} is ${value}` });
  });
});
