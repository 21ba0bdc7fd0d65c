import { describe, expect, test } from 'vitest';

import {
  bindMount,
  keeperBody,
  keeperMounts,
  sandboxBody,
  type BodyFacts,
} from '../../../src/engines/docker/container-bodies.ts';
import { podmanDifferences } from '../../../src/engines/docker/podman-read-back.ts';
import { podmanSpec } from '../../../src/engines/docker/podman-spec.ts';
import { kernelFaults } from '../../../src/engines/docker/read-back.ts';
import { fieldsOf, rowsOf, type Fields } from '../../../src/engines/docker/read-json.ts';

const facts: BodyFacts = {
  marks: { engine: 'e', owner: 'o', sandbox: 's' },
  machine: 'x64',
  image: `sha256:${'a'.repeat(64)}`,
  firstUser: '65534:65534',
  limits: { memoryBytes: 2 ** 29, cpus: 1, pids: 100, diskBytes: 2 ** 30, fileBytes: 2 ** 26, openFiles: 1024 },
  processors: 2,
  runtime: 'runc',
  bounds: { memory: true, swap: true, cpu: true, pids: true },
  userNamespace: true,
};
const keeper = 'k'.repeat(64);
const body = sandboxBody(facts, { keeper, mounts: [bindMount('/home/me/work', '/workspace', 'write')] });
const own = { seccompFile: '/state/system-calls.json', processes: 1000 };

/** What Podman gives to the runtime for a container that is all that was asked. */
function configuration(changes: Fields = {}): Fields {
  const spec = fieldsOf(podmanSpec('box', body, own));
  const limits = fieldsOf(spec['resource_limits']);
  const seccomp = JSON.parse(String(rowsOf(body.HostConfig['SecurityOpt'])[1]).slice('seccomp='.length));
  return {
    process: {
      user: { uid: 65_534, gid: 65_534, additionalGids: [1000, 65_534] },
      args: [...body.Entrypoint, ...body.Cmd],
      env: ['PATH=/bin', 'container=podman'],
      capabilities: {},
      noNewPrivileges: true,
      oomScoreAdj: spec['oom_score_adj'],
      rlimits: rowsOf(spec['r_limits'])
        .map(fieldsOf)
        .map(({ type, hard, soft }) => ({ type: `RLIMIT_${String(type)}`, hard, soft })),
    },
    root: { readonly: true },
    mounts: [...rowsOf(spec['mounts']), { destination: '/proc', type: 'proc' }],
    linux: {
      namespaces: [
        ...['pid', 'ipc', 'uts', 'mount', 'cgroup'].map((type) => ({ type })),
        { type: 'network', path: '/proc/7/ns/net' },
        { type: 'user', path: '/proc/7/ns/user' },
      ],
      seccomp,
      maskedPaths: spec['mask'],
      readonlyPaths: body.HostConfig['ReadonlyPaths'],
      resources: { ...limits, devices: [{ allow: false, access: 'rwm' }] },
    },
    ...changes,
  };
}

const inspected = { Image: 'a'.repeat(64), Config: { Labels: body.Labels } };
const seen = (configured: Fields) => podmanDifferences(body, { inspected, configuration: configured });
const part = (name: string, changes: Fields): Fields => ({ [name]: { ...fieldsOf(configuration()[name]), ...changes } });

describe('what is asked of Podman', () => {
  test('is the same container: mounts alone, no rights, its own list of system calls, the keeper and its user namespace', () => {
    expect(podmanSpec('box', body, own)).toMatchObject({
      netns: { nsmode: 'container', value: keeper },
      userns: { nsmode: 'container', value: keeper },
      cap_drop: ['ALL'],
      no_new_privileges: true,
      read_only_filesystem: true,
      seccomp_profile_path: own.seccompFile,
      resource_limits: { memory: { limit: 2 ** 29, swap: 2 ** 29 }, cpu: { quota: 100_000 }, pids: { limit: 100 } },
    });
    expect(JSON.stringify(podmanSpec('box', body, own))).not.toMatch(/rbind|nr_inodes/);
    expect(podmanSpec('k', keeperBody(facts, { hostname: 'box', mounts: keeperMounts('/run/x') }), own)).toMatchObject({
      netns: { nsmode: 'none' },
      userns: { nsmode: 'keep-id', value: 'uid=1000,gid=1000' },
    });
  });

  test('is refused where Podman has no word for it, and nothing is asked where nothing can be bounded', () => {
    const other = { ...body, HostConfig: { ...body.HostConfig, Privileged: true, Isolation: 'x' } };
    expect(() => podmanSpec('box', other, own)).toThrow('Podman cannot be asked for Privileged, Isolation');
    const bounds = { memory: false, swap: false, cpu: false, pids: false };
    const unbounded = sandboxBody({ ...facts, bounds }, { keeper, mounts: [] });
    expect(podmanSpec('box', unbounded, own)).not.toHaveProperty('resource_limits');
  });
});

describe('what Podman gave to the runtime', () => {
  test('is as asked', () => {
    expect(seen(configuration())).toEqual([]);
  });

  test.each<[string, Fields]>([
    ['hooks', { hooks: { prestart: [{ path: '/x' }] } }],
    ['root.readonly', { root: { readonly: false } }],
    ['process.noNewPrivileges', part('process', { noNewPrivileges: false })],
    ['process.capabilities', part('process', { capabilities: { bounding: ['CAP_SYS_ADMIN'] } })],
    ['process.user', part('process', { user: { uid: 0, gid: 0 } })],
    ['process.user', part('process', { user: { uid: 65_534, gid: 65_534, additionalGids: [0] } })],
    ['process.environment', part('process', { env: ['https_proxy=http://key@proxy'] })],
    ['process.rlimits', part('process', { rlimits: [] })],
    ['linux.seccomp', part('linux', { seccomp: { defaultAction: 'SCMP_ACT_ALLOW' } })],
    ['linux.namespaces', part('linux', { namespaces: [{ type: 'network', path: '/proc/7/ns/net' }] })],
    ['linux.maskedPaths', part('linux', { maskedPaths: [] })],
    ['linux.devices', part('linux', { devices: [{ path: '/dev/sda' }] })],
    ['linux.resources', part('linux', { resources: { devices: [{ allow: true }] } })],
    [
      'mounts /workspace',
      { mounts: rowsOf(configuration()['mounts']).filter((row) => fieldsOf(row)['destination'] !== '/workspace') },
    ],
    ['mounts /host', { mounts: [...rowsOf(configuration()['mounts']), { destination: '/host', type: 'bind', source: '/' }] }],
    [
      'mounts /workspace',
      {
        mounts: [
          ...rowsOf(configuration()['mounts']),
          { destination: '/workspace', type: 'bind', source: '/etc', options: ['rbind'] },
        ],
      },
    ],
  ])('is told of with its name: %s', (name, changes) => {
    expect(seen(configuration(changes))).toContain(name);
  });

  test('is another image or has other labels', () => {
    const told = { inspected: { Image: 'b'.repeat(64), Config: {} }, configuration: configuration() };
    expect(podmanDifferences(body, told)).toEqual(['Image', 'Config.Labels']);
  });
});

test('ids of the first process are those that its map says, and root inside is never the host’s', () => {
  const sets = ['Inh', 'Prm', 'Eff', 'Bnd', 'Amb'].map((set) => `Cap${set}:\t0000000000000000\n`).join('');
  const ids = Array.from({ length: 4 }, () => '165533').join('\t');
  const status = `Uid:\t${ids}\nGid:\t${ids}\n${sets}NoNewPrivs:\t1\nSeccomp:\t2\n`;
  const map = '         0     100000       1001\n      1001       1001          1\n      1002     101001      64535\n';
  expect(kernelFaults(status, '65534:65534', [map, map])).toEqual([]);
  expect(kernelFaults(status.replace(ids, ids.replace('165533', '0')), '65534:65534', [map, map])).toHaveLength(1);
  expect(kernelFaults(status, '65534:65534', ['0 100000 1000', map])).toHaveLength(1);
  expect(kernelFaults(status, '65534:65534', ['0 0 4294967295', '0 0 4294967295'])).toContain(
    "kernel: root inside is the host's root",
  );
});
