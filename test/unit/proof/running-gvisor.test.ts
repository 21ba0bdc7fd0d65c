/** What no specification for gVisor may hold, and no option of its kernel, each seen on one that has it. */
import { describe, expect, test } from 'vitest';

import { ociConfig } from '../../../src/engines/oci/bundle.ts';
import { gvisorConfig, type GvisorConfig } from '../../../src/engines/oci/gvisor/gvisor-config.ts';
import { gvisorFaults, looseOptions } from '../../../src/proof/outside/running-gvisor.ts';

const spec = {
  id: 'sb',
  owner: 'o',
  hostname: 'h',
  runtime: 'runsc',
  rootfs: '/r',
  workspace: { path: '/w', mode: 'direct', protect: [] },
  home: '/h',
  files: [{ source: '/state/hosts', target: '/etc/hosts' }],
  env: {},
  limits: { memoryBytes: 1 << 30, cpus: 1, pids: 10, diskBytes: 1 << 20, fileBytes: 1 << 20, openFiles: 64 },
  waived: [],
} as const;
const good = gvisorConfig(
  ociConfig(spec, { machine: 'x64', stage: '/mnt', idMapping: [], cgroup: undefined, seccomp: true }),
  spec,
);
const faultsOf = (change: object): string =>
  gvisorFaults(structuredClone({ ...good, ...change }) as GvisorConfig, { seccomp: true }).join('; ');

test('the specification of a sandbox has none of them', () => {
  expect(faultsOf({})).toBe('');
});

describe('is found', () => {
  const { linux, mounts, process } = good;
  const bind = (source: string, options: readonly string[]) => ({
    mounts: [...mounts, { destination: '/x', type: 'bind', source, options }],
  });
  test.each<[string, object, RegExp]>([
    ['a hook', { hooks: {} }, /members beside/],
    ['an annotation that changes an option', { annotations: { 'dev.gvisor.flag.debug': 'true' } }, /members beside/],
    ['a device', { linux: { ...linux, devices: [] } }, /members of linux/],
    ['a namespace that is joined', { linux: { ...linux, namespaces: [{ type: 'pid', path: '/p' }] } }, /joined/],
    ['a namespace that is missing', { linux: { ...linux, namespaces: linux.namespaces.slice(1) } }, /another set/],
    ['no filter', { linux: { ...linux, seccomp: undefined } }, /filter/],
    ['a filter that allows', { linux: { ...linux, seccomp: { defaultAction: 'SCMP_ACT_ALLOW' } } }, /filter/],
    ['a mount from beside the sandbox', bind('/etc', ['nosuid', 'nodev']), /not of the sandbox/],
    ['a way around', bind('/mnt/../etc', ['nosuid', 'nodev']), /not of the sandbox/],
    ['a mount for devices', bind('/mnt/x', ['nosuid']), /nodev/],
    ['user 0', { process: { ...process, user: { uid: 0, gid: 0, umask: 0 } } }, /user 0/],
  ])('%s', (_, change, fault) => {
    expect(faultsOf(change)).toMatch(fault);
  });
});

describe("options of gVisor's kernel", () => {
  test('as they are given', () => {
    const given = [
      '--root=/proc/self/fd/9/runsc',
      '--log=/proc/self/fd/9/log',
      '--network=host',
      '--oci-seccomp=true',
      '--log-fd=3',
    ];
    expect(looseOptions([...given, 'boot', '--bundle=/proc/self/fd/9/bundle'])).toEqual([]);
  });

  test.each([
    '--network=sandbox',
    '--host-uds=all',
    '--debug=true',
    '--TESTONLY-unsafe-nonroot=true',
    '--profile=true',
    '--root=/tmp',
    '-strace',
  ])('%s is told', (word) => {
    expect(looseOptions(['--network=host', word, 'boot'])).toEqual([word]);
  });
});
