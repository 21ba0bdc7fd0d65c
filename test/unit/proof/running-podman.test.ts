/** Whether a configuration that Podman gave to the runtime is judged by what is written down here alone. */
import { describe, expect, test } from 'vitest';

import { podmanFaults } from '../../../src/proof/outside/running-podman.ts';

const namespaces = ['pid', 'network', 'ipc', 'uts', 'mount', 'cgroup'].map((type) => ({ type }));
const paths = (count: number): readonly string[] => Array.from({ length: count }, (_, index) => `/proc/${index}`);
const user = { uid: 65_534, gid: 65_534, additionalGids: [65_534] };
const program = {
  user,
  capabilities: {},
  noNewPrivileges: true,
  oomScoreAdj: 500,
  rlimits: [{ type: 'RLIMIT_CORE', hard: 1, soft: 1 }],
};
const linux = {
  namespaces,
  seccomp: { defaultAction: 'SCMP_ACT_ERRNO' },
  maskedPaths: paths(25),
  readonlyPaths: paths(5),
  sysctl: { 'net.ipv4.ping_group_range': '0 0' },
  resources: { devices: [{ allow: false, access: 'rwm' }] },
};
const mounts = [{ destination: '/workspace', type: 'bind', source: '/work', options: ['bind', 'rw', 'nosuid', 'nodev'] }];
const good = { ociVersion: '1.0.2-dev', process: program, root: { readonly: true }, mounts, linux };

describe('a configuration for the runtime', () => {
  test('as it should be has no fault, with a user namespace where there is to be one', () => {
    expect(podmanFaults(good, false)).toEqual([]);
    expect(podmanFaults(good, true)).toEqual(['another set of namespaces']);
    const ofUser = { ...linux, namespaces: [...namespaces, { type: 'user' }] };
    expect(podmanFaults({ ...good, linux: ofUser }, true)).toEqual([]);
  });

  test.each<[string, object]>([
    ['members beside the known ones', { hooks: { prestart: [{ path: '/bin/true' }] } }],
    ['a root that can be written', { root: { readonly: false } }],
    ['a mount without nosuid', { mounts: [{ type: 'bind', source: '/work', options: ['bind', 'rw'] }] }],
    ['a mount of another kind', { mounts: [{ type: 'fuse', source: 'x', options: ['nosuid'] }] }],
    ['the socket of an engine', { mounts: [{ type: 'bind', source: '/run/podman/podman.sock', options: ['nosuid'] }] }],
    ['members of linux beside the known ones', { linux: { ...linux, devices: [{ path: '/dev/kvm' }] } }],
    ['another set of namespaces', { linux: { ...linux, namespaces: namespaces.slice(1) } }],
    ['no filter of system calls that refuses by default', { linux: { ...linux, seccomp: { defaultAction: 'SCMP_ACT_ALLOW' } } }],
    ['fewer than 25 covered paths', { linux: { ...linux, maskedPaths: [...paths(24), '/proc/0'] } }],
    ['fewer than 5 read-only paths', { linux: { ...linux, readonlyPaths: [] } }],
    ['a setting of the kernel beyond those of its own network', { linux: { ...linux, sysctl: { 'kernel.msgmax': '1' } } }],
    ['devices that are allowed', { linux: { ...linux, resources: { devices: [{ allow: true, access: 'rwm' }] } } }],
    ['rights', { process: { ...program, capabilities: { bounding: ['CAP_CHOWN'] } } }],
    ['no-new-privileges is off', { process: { ...program, noNewPrivileges: false } }],
    ['a first process of root', { process: { ...program, user: { uid: 0, gid: 65_534 } } }],
    ['more groups', { process: { ...program, user: { ...user, additionalGids: [65_534, 27] } } }],
    ['a terminal', { process: { ...program, terminal: true } }],
    ['a core dump', { process: { ...program, rlimits: [] } }],
    ['it is spared when memory is short', { process: { ...program, oomScoreAdj: -500 } }],
  ])('is found to have %s', (fault, change) => {
    expect(podmanFaults({ ...good, ...change }, false)).toEqual([fault]);
  });
});
