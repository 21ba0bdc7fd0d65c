/** What no specification of ours may hold, each seen on one that holds it. */
import { describe, expect, test } from 'vitest';

import { ociConfig } from '../../../src/engines/oci/bundle.ts';
import { rootMapping } from '../../../src/engines/oci/ids.ts';
import { configFaults } from '../../../src/proof/outside/running-config.ts';

const spec = {
  id: 'sb',
  owner: 'o',
  hostname: 'h',
  runtime: 'runc',
  rootfs: '/r',
  workspace: { path: '/w', mode: 'direct', protect: [] },
  home: '/h',
  files: [],
  env: {},
  limits: { memoryBytes: 1 << 30, cpus: 1, pids: 10, diskBytes: 1 << 20, fileBytes: 1 << 20, openFiles: 64 },
  waived: [],
} as const;
const cgroup = { path: '/casemate/sb', controllers: ['memory', 'cpu', 'pids'], swap: true };
const good = ociConfig(spec, { machine: 'x64', stage: '/mnt', idMapping: rootMapping(3), cgroup, seccomp: true });
const faultsOf = (change: object): readonly string[] => configFaults(structuredClone({ ...good, ...change }), { seccomp: true });

test('the specification of a sandbox has none of them', () => {
  expect(faultsOf({})).toEqual([]);
});

describe('is found', () => {
  const { linux, process } = good;
  test.each<[string, object, RegExp]>([
    ['a hook', { hooks: {} }, /members beside/],
    ['a device', { linux: { ...linux, devices: [] } }, /members of linux/],
    ['a namespace that is joined', { linux: { ...linux, namespaces: [{ type: 'pid', path: '/p' }] } }, /joined/],
    ['a namespace that is missing', { linux: { ...linux, namespaces: linux.namespaces.slice(1) } }, /another set/],
    ['a root of the host', { linux: { ...linux, uidMappings: [{ containerID: 0, hostID: 0, size: 1 }] } }, /id 0/],
    ['a filter that allows', { linux: { ...linux, seccomp: { ...linux.seccomp, defaultAction: 'SCMP_ACT_ALLOW' } } }, /filter/],
    ['an allowed device', { linux: { ...linux, resources: { devices: [{ allow: true }] } } }, /devices that are allowed/],
    [
      'a bind mount',
      { mounts: [{ destination: '/x', type: 'bind', source: '/', options: ['nosuid', 'nodev'] }] },
      /from the host/,
    ],
    ['a mount for devices', { mounts: [{ destination: '/x', type: 'tmpfs', source: 't', options: ['nosuid'] }] }, /nodev/],
    [
      'a capability',
      { process: { ...process, capabilities: { ...process.capabilities, ambient: ['CAP_KILL'] } } },
      /capabilities/,
    ],
    ['user 0', { process: { ...process, user: { uid: 0, gid: 0, umask: 0 } } }, /user 0/],
    ['more groups', { process: { ...process, user: { ...process.user, additionalGids: [1] } } }, /more groups/],
    ['new privileges', { process: { ...process, noNewPrivileges: false } }, /no-new-privileges/],
    ['a core dump', { process: { ...process, rlimits: [] } }, /core dump/],
  ])('%s', (_, change, fault) => {
    expect(faultsOf(change).join('; ')).toMatch(fault);
  });
});
