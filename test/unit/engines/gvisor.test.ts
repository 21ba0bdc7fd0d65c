import { describe, expect, it } from 'vitest';

import type { SandboxSpec } from '../../../src/engines/engine.ts';
import { ociConfig } from '../../../src/engines/oci/bundle.ts';
import { cgroupSteps, hostTasks } from '../../../src/engines/oci/gvisor/cgroup-steps.ts';
import { networkSteps } from '../../../src/engines/oci/gvisor/network-steps.ts';
import { commandCall, startCommand } from '../../../src/engines/oci/gvisor/gvisor-calls.ts';
import { gvisorConfig } from '../../../src/engines/oci/gvisor/gvisor-config.ts';
import { rootMapping } from '../../../src/engines/oci/ids.ts';

const MiB = 1024 * 1024;

const spec: SandboxSpec = {
  id: 'cm-0000000000000001',
  owner: 'owner',
  hostname: 'box',
  runtime: 'runsc',
  rootfs: '/images/base/rootfs',
  workspace: { path: '/work', mode: 'direct', protect: ['.git/hooks'] },
  home: '/state/home',
  files: [{ source: '/state/resolv.conf', target: '/etc/resolv.conf' }],
  env: {},
  limits: { memoryBytes: 256 * MiB, cpus: 1.5, pids: 100, diskBytes: MiB, fileBytes: MiB, openFiles: 1024 },
  waived: [],
};

const cgroup = { path: '/casemate/cm-0000000000000001', controllers: ['memory', 'cpu', 'pids'], swap: true };
const config = (changes: Partial<SandboxSpec> = {}) =>
  gvisorConfig(
    ociConfig({ ...spec, ...changes }, { machine: 'x64', stage: '/mnt', idMapping: rootMapping(0), cgroup, seccomp: true }),
    { ...spec, ...changes },
  );

describe("gVisor's bundle", () => {
  it('names no namespace and no group that is around it already', () => {
    const { linux, root } = config();
    expect(Object.keys(linux).toSorted()).toEqual(['maskedPaths', 'namespaces', 'readonlyPaths', 'seccomp']);
    expect(linux.namespaces.map(({ type }) => type)).toEqual(['ipc', 'uts', 'mount', 'pid']);
    expect(root).toEqual({ path: '/mnt', readonly: false });
  });

  it('gives the first process no right', () => {
    const { process } = config();
    expect(Object.values(process.capabilities).flat()).toEqual([]);
    expect([process.noNewPrivileges, process.user.uid]).toEqual([true, 65534]);
  });

  it('shows home, workspace and files as mounts of their own, with those below them', () => {
    const shown = config({ workspace: { ...spec.workspace, mode: 'readonly' } }).mounts.filter(({ type }) => type === 'bind');
    expect(shown.map(({ destination, source, options }) => [destination, source, options.slice(0, 2)])).toEqual([
      ['/home/agent', '/mnt/home/agent', ['rbind', 'rw']],
      ['/workspace', '/mnt/workspace', ['rbind', 'ro']],
      ['/etc/resolv.conf', '/mnt/etc/resolv.conf', ['rbind', 'ro']],
    ]);
  });

  it('says of a call that a libc tries first what a libc must hear', () => {
    const { syscalls } = config().linux.seccomp as { syscalls: { names: string[]; action: string; errnoRet?: number }[] };
    expect(syscalls.find(({ names }) => names.includes('clone3'))?.action).toBe('SCMP_ACT_TRACE');
    expect(syscalls.filter(({ errnoRet }) => errnoRet !== undefined)).toEqual([]);
  });
});

describe("gVisor's groups", () => {
  const facts = { ...cgroup, isDelegated: false };

  it('lie below each controller where the layout is separate', () => {
    const steps = cgroupSteps(spec.limits, { ...facts, layout: 'separate' });
    expect(steps).toContain('make:/sys/fs/cgroup/memory/casemate/cm-0000000000000001');
    expect(steps).toContain('write:/sys/fs/cgroup/memory/casemate/cm-0000000000000001/memory.limit_in_bytes:268435456');
    expect(steps.filter((step) => step.startsWith('join:')).map((step) => step.split('/')[4])).toEqual([
      'memory',
      'cpu',
      'pids',
      'cpuacct',
    ]);
    expect(steps.findIndex((step) => step.startsWith('join:'))).toBeGreaterThan(
      steps.findLastIndex((step) => step.startsWith('write:')),
    );
  });

  it('are beside settings of the network, by their paths', () => {
    expect(networkSteps({ 'net.ipv4.tcp_rmem': '4096 131072 1048576' })).toEqual(['net:ipv4/tcp_rmem:4096 131072 1048576']);
  });

  it('get their controllers from above where there is one hierarchy, and from nobody in a scope of the user', () => {
    const folder = '/sys/fs/cgroup/casemate/cm-0000000000000001';
    const own = [
      `make:${folder}`,
      `write:${folder}/memory.max:268435456`,
      `write:${folder}/memory.swap.max:0`,
      `write:${folder}/cpu.max:150000 100000`,
      `write:${folder}/pids.max:${hostTasks(100)}`,
      `join:${folder}`,
    ];
    const steps = cgroupSteps(spec.limits, { ...facts, layout: 'unified' });
    expect(steps.slice(0, 4)).toEqual([
      'make:/sys/fs/cgroup',
      'write:/sys/fs/cgroup/cgroup.subtree_control:+memory +cpu +pids',
      'make:/sys/fs/cgroup/casemate',
      'write:/sys/fs/cgroup/casemate/cgroup.subtree_control:+memory +cpu +pids',
    ]);
    expect(steps.slice(4)).toEqual(own);
    expect(cgroupSteps(spec.limits, { ...facts, layout: 'unified', isDelegated: true })).toEqual(own);
  });

  it('limit only what this host can', () => {
    const steps = cgroupSteps(spec.limits, { ...facts, controllers: ['pids'], swap: false, layout: 'unified' });
    expect(steps.filter((step) => /memory|cpu\.max/.test(step))).toEqual([]);
  });

  it('leave room for what gVisor itself needs, and an end to it', () => {
    expect([1, 100, 100_000].map(hostTasks)).toEqual([528, 2112, 8192]);
  });
});

describe("gVisor's calls", () => {
  const choice = { platform: 'ptrace', filtersCommands: false, refusesAutomountFlag: true, options: ['overlay2'] };
  const start = (changes = {}) =>
    startCommand('cm-1', {
      machine: 'x64',
      folder: '/run/box',
      mapping: rootMapping(0),
      steps: ['join:/g'],
      choice: { ...choice, ...changes },
    });

  it('give only options that the installed version knows', () => {
    expect(start()).toContain('--overlay2=none');
    expect(start().filter((word) => /directfs|oci-seccomp/.test(word))).toEqual([]);
    expect(start({ options: ['oci-seccomp'] })).toContain('--oci-seccomp=true');
    expect(start({ options: [] }).filter((word) => word.startsWith('--overlay2'))).toEqual([]);
  });

  it('never give it the network or the groups of the host to change', () => {
    expect(start()).toEqual(expect.arrayContaining(['--network=host', '--ignore-cgroups', 'join:/g', '0 1879048192 65536']));
  });

  it('name the files of a command by the folder that is handed over', () => {
    const place = { kind: 'user', folder: '/run/box', keeper: 7, id: 1 } as const;
    const { args } = commandCall('cm-1', place, { execution: 'x', pidFile: '/run/box/executions/x.pid', tty: true });
    expect(args).toEqual(
      expect.arrayContaining(['user', '/run/box', '7', '1', 'tty', '--process', '/proc/self/fd/9/executions/x.json']),
    );
  });
});
