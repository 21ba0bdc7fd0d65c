import { describe, expect, test } from 'vitest';

import {
  bindMount,
  keeperBody,
  keeperMounts,
  sandboxBody,
  sandboxMounts,
  type BodyFacts,
} from '../../../src/engines/docker/container-bodies.ts';
import type { EngineFacts } from '../../../src/engines/docker/engine-facts.ts';
import { layersOf } from '../../../src/engines/docker/examine.ts';
import { wayOf } from '../../../src/engines/docker/kernel/elsewhere.ts';
import { outputFrames } from '../../../src/engines/docker/output-frames.ts';
import { differences, kernelFaults } from '../../../src/engines/docker/read-back.ts';
import { otherPlaces } from '../../../src/engines/docker/same-places.ts';
import { parseMounts } from '../../../src/engines/workspace/protections.ts';

const facts: BodyFacts = {
  marks: { engine: 'e', owner: 'o', sandbox: 's' },
  machine: 'x64',
  image: `sha256:${'a'.repeat(64)}`,
  firstUser: '65534:65534',
  limits: { memoryBytes: 2 ** 29, cpus: 4, pids: 100, diskBytes: 2 ** 30, fileBytes: 2 ** 26, openFiles: 1024 },
  processors: 2,
  runtime: 'runc',
  bounds: { memory: true, swap: true, cpu: true, pids: true },
  userNamespace: false,
};
const mounts = [
  bindMount('/home/me/work', '/workspace', 'write'),
  bindMount('/home/me/work/.git/config', '/workspace/.git/config', 'read'),
];
const body = sandboxBody(facts, { keeper: 'k'.repeat(64), mounts });

/** As the engine says it of a container that is all that was asked. */
function inspected({ HostConfig, ...config } = body, changes: Record<string, unknown> = {}): Record<string, unknown> {
  const told = { ...config, Hostname: 'box' };
  return {
    Image: config.Image,
    Config: told,
    HostConfig: { ...HostConfig, CapAdd: null, Binds: null, ...changes },
    NetworkSettings: { Networks: {} },
  };
}

describe('what is asked of the engine', () => {
  test('joins the keeper, which has no network', () => {
    expect(body.HostConfig).toMatchObject({ NetworkMode: `container:${'k'.repeat(64)}`, Privileged: false, CapDrop: ['ALL'] });
    expect(keeperBody(facts, { hostname: 'box', mounts: keeperMounts('/run/x') }).HostConfig).toMatchObject({
      NetworkMode: 'none',
    });
  });

  test('asks for no more processors than there are', () => {
    expect(body.HostConfig['NanoCpus']).toBe(2e9);
  });

  test('shows a file of ours where a placeholder keeps a name, and the workspace elsewhere', () => {
    const spec = { workspace: { path: '/w', mode: 'direct' as const, protect: [] }, home: '/h', files: [] };
    const common = {
      id: 's',
      owner: 'o',
      hostname: 'box',
      runtime: 'runc' as const,
      rootfs: '/r',
      env: {},
      limits: facts.limits,
      waived: [],
    };
    const made = sandboxMounts(
      { ...common, ...spec },
      {
        protections: [
          { path: '.git', kind: 'folder', writable: true, placeholder: undefined },
          { path: '.git/config', kind: 'file', writable: false, placeholder: 'socket' },
          { path: '.claude', kind: 'folder', writable: false, placeholder: 'folder' },
        ],
        covers: { empty: '/covers/empty', json: '/covers/empty.json' },
        ownFiles: [],
      },
    );
    expect(made.map(({ Source, Target, ReadOnly }) => [Source, Target, ReadOnly])).toEqual([
      ['/h', '/home/agent', false],
      ['/w', '/workspace', false],
      ['/w/.git', '/workspace/.git', false],
      ['/covers/empty', '/workspace/.git/config', true],
      ['/w/.claude', '/workspace/.claude', true],
    ]);
  });
});

describe('what the engine says afterwards', () => {
  test('is as asked where it leaves out what is nothing', () => {
    expect(differences(body, inspected())).toEqual([]);
  });

  test.each<[string, Record<string, unknown>]>([
    ['HostConfig.CapAdd', { CapAdd: ['SYS_ADMIN'] }],
    ['HostConfig.CapDrop', { CapDrop: null }],
    ['HostConfig.Privileged', { Privileged: true }],
    ['HostConfig.Binds', { Binds: ['/:/host'] }],
    ['HostConfig.Mounts', { Mounts: [...mounts, bindMount('/', '/host', 'write')] }],
    ['HostConfig.Mounts', { Mounts: mounts.map((mount) => ({ ...mount, ReadOnly: false })) }],
    ['HostConfig.SecurityOpt', { SecurityOpt: ['no-new-privileges'] }],
    ['HostConfig.NetworkMode', { NetworkMode: 'bridge' }],
    ['HostConfig.Memory', { Memory: 0 }],
  ])('differs in %s', (name, changes) => {
    expect(differences(body, inspected(body, changes))).toContain(name);
  });

  test('differs in the image, the user and a network', () => {
    expect(differences(body, { ...inspected(), Image: 'sha256:other' })).toEqual(['Image']);
    expect(differences(body, inspected({ ...body, User: '' }))).toEqual(['Config.User']);
    expect(differences({ ...body, User: '1000:1000' }, inspected())).toEqual(['Config.User']);
    expect(differences(body, { ...inspected(), NetworkSettings: { Networks: { bridge: {} } } })).toEqual([
      'NetworkSettings.Networks.bridge',
    ]);
  });
});

describe('what the kernel says of the first process', () => {
  const caps = ['Inh', 'Prm', 'Eff', 'Bnd', 'Amb'].map((set) => `Cap${set}:\t0000000000000000`).join('\n');
  const status = `Uid:\t65534\t65534\t65534\t65534\nGid:\t65534\t65534\t65534\t65534\n${caps}\nNoNewPrivs:\t1\nSeccomp:\t2\n`;

  test('is enough, or names what is not', () => {
    expect(kernelFaults(status, '65534:65534')).toEqual([]);
    expect(kernelFaults(status.replace('Seccomp:\t2', 'Seccomp:\t0'), '65534:65534')).toEqual(['kernel: Seccomp is 0']);
    expect(kernelFaults(status.replace('CapBnd:\t0000000000000000', 'CapBnd:\t00000000a80425fb'), '65534:65534')).toHaveLength(1);
    expect(kernelFaults(status.replace('65534\t65534\n', '65534\t0\n'), '65534:65534')).toHaveLength(1);
    expect(kernelFaults('', '65534:65534')).toHaveLength(9);
  });
});

describe('what is mounted', () => {
  const host = parseMounts('1 0 8:1 / / rw - ext4 a rw\n2 1 8:2 /data /home rw - ext4 b rw');
  const inside = (root: string, device = '8:2') =>
    parseMounts(
      `1 0 0:9 / / ro - overlay o rw\n2 1 8:2 /data/me/work /workspace rw - ext4 b rw\n3 2 ${device} ${root} /workspace/.git/config ro - ext4 b rw`,
    );

  test('is what the path is without any link', () => {
    expect(otherPlaces(mounts, { host, inside: inside('/data/me/work/.git/config') })).toEqual([]);
  });

  test.each([
    ['another file', '/etc/shadow', '8:2'],
    ['the same path of another disk', '/data/me/work/.git/config', '8:1'],
    ['a file that was removed', '/data/me/work/.git/config//deleted', '8:2'],
  ])('is not %s', (_name, root, device) => {
    expect(otherPlaces(mounts, { host, inside: inside(root, device) })).toEqual(['/workspace/.git/config']);
  });
});

describe('output of a command', () => {
  test('is put together from pieces cut anywhere, and bounded', () => {
    const frame = (stream: number, text: string) =>
      Buffer.concat([Buffer.from([stream, 0, 0, 0, 0, 0, 0, text.length]), Buffer.from(text)]);
    const sent = Buffer.concat([frame(1, 'out'), frame(2, 'err'), frame(1, 'put'), frame(1, '')]);
    for (let size = 1; size < sent.length; size += 1) {
      const frames = outputFrames(5);
      for (let start = 0; start < sent.length; start += size) {
        frames.take(sent.subarray(start, start + size));
      }
      expect([frames.stdout().toString(), frames.stderr().toString()]).toEqual(['outpu', 'err']);
    }
  });
});

test('layers follow from what the engine says of itself, and what it cannot give is missing', () => {
  const told: EngineFacts = {
    product: 'Docker',
    id: 'x',
    version: '20.10.24',
    kernel: '6.1.0-1-amd64',
    architecture: 'x86_64',
    system: 'Debian GNU/Linux 12 (bookworm)',
    groupVersion: 2,
    processors: 2,
    limits: { memory: true, swap: true, cpu: true, pids: true },
    security: ['seccomp'],
    userNamespace: false,
    runtimes: ['runc'],
    versions: [{ name: 'runc', version: '1.3.6', package: undefined }],
  };
  const missing = (changes: Partial<EngineFacts>, runtime = 'runc') =>
    layersOf({ ...told, ...changes }, runtime)
      .filter(({ available }) => !available)
      .map(({ layer }) => layer);
  expect(missing({})).toEqual(['user-namespace', 'disk-limit']);
  expect(missing({ security: [] })).toContain('seccomp');
  expect(missing({ limits: { ...told.limits, memory: false, pids: false } })).toEqual(
    expect.arrayContaining(['memory-limit', 'pids-limit']),
  );
  expect(missing({ versions: [{ name: 'runc', version: '1.1.4', package: undefined }] })).toContain('runtime-floor');
  expect(missing({}, 'runsc')).toContain('runtime-floor');
});

test('an engine whose containers have another kernel has to be a Docker Engine of the same kind that can reach this host', () => {
  const of = (changes: Partial<EngineFacts>) =>
    ({ product: 'Docker', kernel: '6.1.0-1-amd64', architecture: 'x86_64', system: 'Debian', ...changes }) as EngineFacts;
  const here = { release: '6.1.0-1-amd64', machine: 'x64', isForced: false, uplink: undefined } as const;
  const uplink = { network: 'host', host: '10.0.2.2' } as const;
  const other = { kernel: '6.10.14-linuxkit' };
  expect(wayOf(of({}), here)).toEqual({ isElsewhere: false, uplink: undefined });
  expect(wayOf(of({}), { ...here, uplink })).toEqual({ isElsewhere: false, uplink });
  expect(wayOf(of({}), { ...here, uplink, isForced: true })).toEqual({ isElsewhere: true, uplink });
  expect(wayOf(of(other), { ...here, uplink })).toEqual({ isElsewhere: true, uplink });
  const desktop = { network: 'bridge', host: 'host.docker.internal' };
  expect(wayOf(of({ ...other, system: 'Docker Desktop' }), here)).toEqual({ isElsewhere: true, uplink: desktop });
  expect(() => wayOf(of(other), here)).toThrow('another machine (Linux 6.10.14-linuxkit');
  expect(() => wayOf(of(other), here)).toThrow('nothing says how a container there reaches this host');
  expect(() => wayOf(of({ ...other, product: 'Podman' }), { ...here, uplink })).toThrow('another machine');
  expect(() => wayOf(of({ ...other, architecture: 'aarch64' }), { ...here, uplink })).toThrow('of another kind (aarch64)');
  expect(() => wayOf(of({}), { ...here, isForced: true })).toThrow('nothing says how');
});
