/** What a program inside may try with the broker: nothing of it makes a container, and each refusal is on record once. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';

import { CasemateError } from '../../../src/base/errors.ts';
import { brokerLab, type BrokerLab } from './broker-lab.ts';
import { sandboxImage } from './fake-containers.ts';

let lab: BrokerLab;
beforeAll(async () => {
  lab = await brokerLab();
});
beforeEach(() => {
  lab.recorded.length = 0;
  lab.containers.made.length = 0;
});
afterAll(async () => {
  await lab.close();
});

const image = '"Image":"casemate/sandbox"';
const create = '/v1.41/containers/create';
const host = (fields: string): string => `{${image},"HostConfig":{${fields}}}`;

async function expectRefused(path: string, body: string | Buffer, method = 'POST'): Promise<void> {
  const told = await lab.ask(method, path, body);
  expect([400, 403]).toContain(told.status);
  expect(JSON.parse(told.text)).toEqual({ message: expect.any(String) });
  expect(lab.containers.made).toEqual([]);
  expect(lab.recorded.map(({ kind, action }) => `${kind} ${action}`)).toEqual(['deny docker.denied']);
}

test('what of the host was wrong with a container is on record, and not told inside', async () => {
  const other = await brokerLab();
  const id = '0'.repeat(64);
  await other.ask('POST', `${create}?name=wrong`, `{${image}}`);
  const cause = new Error('mounts of the sandbox stayed open: /home/somebody');
  other.containers.faults.start = new CasemateError('ENGINE_FAILED', 'the container was not as it has to be, and was stopped', {
    cause,
  });
  const told = await other.ask('POST', `/v1.41/containers/${id}/start`);
  other.containers.faults.start = undefined;
  expect(told).toEqual({ status: 500, text: expect.stringContaining('not as it has to be') });
  expect(told.text).not.toContain('somebody');
  await other.close();
  expect(other.recorded.at(-1)).toEqual({
    kind: 'note',
    action: 'docker.start-failed',
    subject: '000000000000',
    reason: 'ENGINE_FAILED: mounts of the sandbox stayed open: /home/somebody',
  });
});

test('the nearest legal thing is done, and on record once', async () => {
  const told = await lab.ask(
    'POST',
    `${create}?name=legal`,
    host('"Privileged":false,"CapAdd":null,"Binds":["/workspace/a:/a:ro"]'),
  );
  expect(told.status).toBe(201);
  expect(lab.recorded).toMatchObject([{ kind: 'effect', action: 'docker.create', subject: 'legal' }]);
  expect(lab.containers.made).toMatchObject([
    {
      image: sandboxImage,
      network: 'sandbox',
      memoryBytes: 1024 ** 3 / 8,
      mounts: [{ kind: 'path', source: '/workspace/a', target: '/a', isReadonly: true }],
    },
  ]);
});

describe('fields of a container that would loosen it', () => {
  test.each([
    '"Privileged":true',
    '"Privileged":1',
    '"CapAdd":["SYS_ADMIN"]',
    '"CapAdd":"ALL"',
    '"SecurityOpt":["seccomp=unconfined"]',
    '"SecurityOpt":["no-new-privileges","apparmor=unconfined"]',
    '"SecurityOpt":["systempaths=unconfined"]',
    '"MaskedPaths":["/x"]',
    '"ReadonlyPaths":["/x"]',
    '"Devices":[{"PathOnHost":"/dev/kvm","PathInContainer":"/dev/kvm","CgroupPermissions":"rwm"}]',
    '"DeviceRequests":[{"Driver":"nvidia","Count":-1}]',
    '"DeviceCgroupRules":["a *:* rwm"]',
    '"PidMode":"host"',
    '"PidMode":"container:keeper"',
    '"IpcMode":"host"',
    '"UTSMode":"host"',
    '"UsernsMode":"host"',
    '"CgroupnsMode":"host"',
    '"CgroupParent":"/"',
    '"NetworkMode":"host"',
    '"NetworkMode":"container:casemate-cm-0123456789abcdef-keeper"',
    '"NetworkMode":"ns:/proc/1/ns/net"',
    '"VolumesFrom":["gateway"]',
    '"VolumeDriver":"nfs"',
    '"Runtime":"io.containerd.runc.v2"',
    '"Sysctls":{"kernel.core_pattern":"|/x"}',
    '"Ulimits":[{"Name":"nofile","Soft":9999999,"Hard":9999999}]',
    '"GroupAdd":["0"]',
    '"ExtraHosts":["api.example.com:10.0.0.1"]',
    '"Dns":["192.0.2.1"]',
    '"Links":["a:b"]',
    '"StorageOpt":{"size":"1T"}',
    '"OomKillDisable":true',
    '"LogConfig":{"Type":"syslog"}',
    '"Isolation":"process"',
    '"Memory":99999999999',
    '"PortBindings":{"80/tcp":[{"HostPort":"8080"}]}',
  ])('%s', async (fields) => {
    await expectRefused(create, host(fields));
  });
});

describe('places of the host', () => {
  test.each([
    '"Binds":["/:/h"]',
    '"Binds":["/etc:/h:ro"]',
    '"Binds":["/var/run/docker.sock:/s"]',
    '"Binds":["/proc:/h"]',
    '"Binds":["/workspace/../etc:/h"]',
    '"Binds":["/workspace/..:/h"]',
    '"Binds":["/workspacex:/h"]',
    '"Binds":["/home/agent/../../root:/h"]',
    '"Binds":["/home/other:/h"]',
    '"Binds":["/workspace:/h:rshared"]',
    '"Binds":["/workspace:/h:ro:x"]',
    '"Binds":["/workspace:/proc/sys"]',
    '"Binds":["/workspace:/dev"]',
    '"Binds":["/workspace:/x/../sys"]',
    '"Binds":["/workspace:/etc/resolv.conf"]',
    '"Binds":["/workspace:/"]',
    '"Binds":["/workspace:relative"]',
    '"Binds":["../x:/h"]',
    '"Binds":["/workspace:/h","/workspace/a:/h"]',
    '"Mounts":[{"Type":"bind","Source":"/","Target":"/h"}]',
    '"Mounts":[{"Type":"bind","Source":"relative","Target":"/h"}]',
    '"Mounts":[{"Type":"npipe","Source":"/workspace","Target":"/h"}]',
    '"Mounts":[{"Type":"cluster","Source":"x","Target":"/h"}]',
    '"Mounts":[{"Type":"bind","Source":"/workspace","Target":"/h","BindOptions":{"Propagation":"shared"}}]',
    '"Mounts":[{"Type":"volume","Source":"v","Target":"/h","VolumeOptions":{"DriverConfig":{"Name":"local","Options":{"type":"none","o":"bind","device":"/"}}}}]',
    '"Mounts":[{"Type":"volume","Source":"v","Target":"/h","VolumeOptions":{"DriverConfig":{"Name":"nfs"}}}]',
    '"Mounts":[{"Type":"volume","Source":"../../etc","Target":"/h"}]',
    '"Mounts":[{"Type":"tmpfs","Target":"/proc"}]',
    '"Tmpfs":{"/sys":"rw"}',
  ])('%s', async (fields) => {
    await expectRefused(create, host(fields));
  });
});

describe('bodies that other readers read in another way', () => {
  test.each([
    ['a key twice, which Go merges', `{${image},"HostConfig":{"Privileged":true},"HostConfig":{}}`],
    ['a key in other case, which Go takes', `{${image},"hostconfig":{"privileged":true}}`],
    ['a long s, which Go folds', `{${image},"Ho\u017FtConfig":{"\u017FecurityOpt":["seccomp=unconfined"]}}`],
    ['a Kelvin sign, which Go folds', `{${image},"HostConfig":{"Mas\u212AedPaths":[]}}`],
    ['an escaped key beside the same one', `{${image},"HostConfig":{},"\\u0048ostConfig":{"Privileged":true}}`],
    ['a second document', `{${image}}{"HostConfig":{"Privileged":true}}`],
    ['a byte order mark', `\uFEFF{${image}}`],
    ['a comment', `{${image}/*,"x":1*/}`],
    ['an unknown key', `{${image},"Unheard":1}`],
    ['an unknown key further in', host('"Unheard":{}')],
    ['no object', '[1]'],
    ['no valid UTF-8', Buffer.concat([Buffer.from(`{${image},"Cmd":["`), Buffer.from([0xff]), Buffer.from('"]}')])],
  ])('%s', async (_, body) => {
    await expectRefused(create, body);
  });
});

describe('other spellings of a path', () => {
  test.each([
    '/v1.41/%63ontainers/create',
    '/v1.41/containers%2fcreate',
    '/v1.41/containers/create%3fx',
    '//containers/create',
    '/v1.41//containers/create',
    '/v1.41/images/../containers/create',
    '/v1.41/./containers/create',
    '/v9.99/containers/create',
    '/v1.42/containers/create',
    '/v1.12/containers/create',
    '/v1.41/CONTAINERS/create',
    '/v1.41/containers/create/',
    '/v1.41/v1.41/containers/create',
    'http://docker/v1.41/containers/create',
  ])('%s', async (path) => {
    await expectRefused(path, `{${image}}`);
  });
  test('a parameter that is said twice', async () => {
    await expectRefused(`${create}?name=a1&name=b1`, `{${image}}`);
  });
});

describe('what no sandbox is offered', () => {
  test.each([
    ['POST', '/swarm/init'],
    ['POST', '/services/create'],
    ['POST', '/plugins/pull?remote=x'],
    ['POST', '/configs/create'],
    ['POST', '/secrets/create'],
    ['POST', '/session'],
    ['POST', '/grpc'],
    ['GET', '/distribution/x/json'],
    ['POST', '/auth'],
    ['POST', '/commit?container=x&repo=sandbox'],
    ['POST', '/images/load'],
    ['GET', '/images/get'],
    ['POST', '/images/create?fromSrc=-&repo=sandbox&tag=latest'],
    ['POST', '/images/create?fromImage=alpine&tag=latest'],
    ['POST', '/images/prune'],
    ['POST', '/containers/prune'],
    ['POST', '/containers/x/update'],
    ['PUT', '/containers/x/archive?path=/'],
    ['GET', '/containers/x/archive?path=/'],
    ['GET', '/containers/x/export'],
    ['POST', '/containers/x/rename?name=y'],
    ['GET', '/system/df'],
    ['GET', '/nodes'],
  ])('%s %s', async (method, path) => {
    await expectRefused(`/v1.41${path}`, '{}', method);
  });
});

describe('names that are not its own', () => {
  test('containers of others are not there, by any name of theirs', async () => {
    for (const path of ['casemate-cm-0123456789abcdef', 'f'.repeat(64), 'ffffffffffff']) {
      for (const [method, what] of [
        ['GET', '/json'],
        ['POST', '/start'],
        ['POST', '/kill'],
        ['POST', '/exec'],
        ['DELETE', ''],
      ] as const) {
        const told = await lab.ask(method, `/v1.41/containers/${path}${what}`, what === '/exec' ? '{"Cmd":["id"]}' : '');
        expect(told.status).toBe(404);
      }
    }
    expect((await lab.ask('POST', `/v1.41/exec/${'e'.repeat(64)}/start`, '{}')).status).toBe(404);
    expect(lab.containers.calls.filter((call) => !call.startsWith('volume'))).toEqual([]);
  });

  test('a label of ours that a client writes is a word of the client and no label of the engine', async () => {
    const told = await lab.ask('POST', create, `{${image},"Labels":{"casemate.sandbox":"cm-other","casemate.part":"keeper"}}`);
    expect(told.status).toBe(201);
    expect(JSON.parse(lab.containers.made[0]?.note ?? '{}').labels).toEqual({
      'casemate.sandbox': 'cm-other',
      'casemate.part': 'keeper',
    });
  });

  test('a name that the policy gives leads to its image, whatever is tagged', async () => {
    const told = await lab.ask('POST', '/v1.41/images/casemate/sandbox/tag?repo=postgres&tag=16');
    expect(told.status).toBe(403);
    expect((await lab.ask('POST', '/v1.41/images/postgres:16/tag?repo=casemate/sandbox')).status).toBe(403);
    expect((await lab.ask('POST', '/v1.41/images/casemate/sandbox/tag?repo=mine')).status).toBe(201);
  });

  test('a volume whose options lead elsewhere', async () => {
    for (const body of [
      '{"Name":"v","Driver":"local","DriverOpts":{"type":"none","o":"bind","device":"/"}}',
      '{"Name":"v","Driver":"local","DriverOpts":{"type":"overlay","o":"lowerdir=/","device":"overlay"}}',
      '{"Name":"v","Driver":"nfs"}',
      '{"Name":"../../etc"}',
    ]) {
      expect([400, 403]).toContain((await lab.ask('POST', '/v1.41/volumes/create', body)).status);
    }
    expect(lab.containers.calls.filter((call) => call.startsWith('volume'))).toEqual([]);
    expect((await lab.ask('POST', '/v1.41/volumes/create', '{"Name":"v"}')).status).toBe(201);
  });
});

test('a volume without a name stays while another container has it by its name: who removes it is the host', async () => {
  await lab.ask('POST', `${create}?name=first`, `{${image},"Volumes":{"/data":{}}}`);
  const { source } = lab.containers.made[0]?.mounts[0] ?? expect.unreachable();
  expect(source).not.toBe('');
  await lab.ask('POST', `${create}?name=second`, `{${image},"HostConfig":{"Binds":["${source}:/data"]}}`);
  await lab.ask('DELETE', '/v1.41/containers/first?v=1&force=1');
  expect(lab.containers.calls.filter((call) => call.startsWith('no volume'))).toEqual([]);
  await lab.ask('POST', `${create}?name=third`, `{${image},"Volumes":{"/data":{}}}`);
  await lab.ask('DELETE', '/v1.41/containers/third?v=1&force=1');
  expect(lab.containers.calls.filter((call) => call.startsWith('no volume'))).toHaveLength(1);
});

test('what cannot be put on record is not done', async () => {
  const broken = await brokerLab();
  try {
    broken.breakJournal();
    expect((await broken.ask('POST', create, `{${image}}`)).status).toBe(503);
    expect(broken.containers.made).toEqual([]);
  } finally {
    await broken.close();
  }
});

test('a name leads to a container as long as that is there', async () => {
  await lab.ask('POST', `${create}?name=Db`, `{${image}}`);
  expect(lab.broker.isInside('db')).toBe(true);
  expect(lab.broker.isInside('api.example.com')).toBe(false);
});
