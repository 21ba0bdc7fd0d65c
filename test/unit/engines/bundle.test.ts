import { describe, expect, it } from 'vitest';

import type { SandboxSpec } from '../../../src/engines/engine.ts';
import { commandProcess, ociConfig, type BundleFacts } from '../../../src/engines/oci/bundle.ts';
import { rootMapping, userMapping } from '../../../src/engines/oci/ids.ts';
import { goldenConfig } from '../../fixtures/golden-oci-config.ts';

const MiB = 1024 * 1024;

const spec: SandboxSpec = {
  id: 'cm-0000000000000001',
  owner: 'owner',
  hostname: 'box',
  runtime: 'runc',
  rootfs: '/images/base/rootfs',
  workspace: { path: '/work', mode: 'direct', protect: ['.git/hooks'] },
  home: '/state/home',
  files: [{ source: '/state/resolv.conf', target: '/etc/resolv.conf' }],
  env: { PATH: '/usr/bin:/bin', LANG: 'C.UTF-8' },
  limits: { memoryBytes: 1024 * MiB, cpus: 1.5, pids: 256, diskBytes: 1024 * MiB, fileBytes: 256 * MiB, openFiles: 4096 },
  waived: [],
};

const facts: BundleFacts = {
  machine: 'x64',
  stage: '/mnt',
  idMapping: rootMapping(0),
  cgroup: { path: '/casemate/cm-0000000000000001', controllers: ['memory', 'cpu', 'pids'], swap: true },
  seccomp: true,
};

const withoutSeccomp = (config: ReturnType<typeof ociConfig>) => {
  const { seccomp, ...linux } = config.linux;
  return { ...config, linux: { ...linux, seccomp: seccomp?.defaultAction } };
};

describe('the bundle of a sandbox', () => {
  it('is the golden one, word for word', () => {
    expect(withoutSeccomp(ociConfig(spec, facts))).toEqual(goldenConfig);
  });

  const kinds: readonly (readonly [string, Partial<SandboxSpec>, Partial<BundleFacts>])[] = [
    ['started by root', {}, {}],
    ['started by an ordinary user', {}, { idMapping: userMapping(65536), cgroup: undefined }],
    ['with a read-only workspace', { workspace: { path: '/work', mode: 'readonly', protect: [] } }, {}],
    ['on arm64', {}, { machine: 'arm64' }],
    ['with tiny limits', { limits: { memoryBytes: 1, cpus: 0.001, pids: 1, diskBytes: 1, fileBytes: 1, openFiles: 1 } }, {}],
  ];

  it.each(kinds)('has every property of the golden class when %s (S-KRN-26)', (_, specChanges, factChanges) => {
    const config: object = ociConfig({ ...spec, ...specChanges }, { ...facts, ...factChanges });
    const { process, root, mounts, linux } = ociConfig({ ...spec, ...specChanges }, { ...facts, ...factChanges });
    expect(Object.keys(config).toSorted()).toEqual(['hostname', 'linux', 'mounts', 'ociVersion', 'process', 'root']);
    expect(linux.namespaces.map(({ type }) => type).toSorted()).toEqual([
      'cgroup',
      'ipc',
      'mount',
      'network',
      'pid',
      'user',
      'uts',
    ]);
    expect(linux.namespaces.every((namespace) => !('path' in namespace))).toBe(true);
    expect(Object.values(process.capabilities).flat()).toEqual([]);
    expect(process.noNewPrivileges).toBe(true);
    expect(process.user.uid).not.toBe(0);
    expect(process.terminal).toBe(false);
    expect(linux.seccomp?.defaultAction).toBe('SCMP_ACT_ERRNO');
    expect(linux.seccomp?.architectures).toHaveLength(1);
    expect(linux.maskedPaths.length).toBeGreaterThanOrEqual(8);
    expect(linux.readonlyPaths.length).toBeGreaterThanOrEqual(5);
    expect('devices' in linux).toBe(false);
    expect(root.readonly).toBe(true);
    for (const mount of mounts) {
      expect(mount.options).toContain('nosuid');
      expect(mount.options.includes('nodev') || mount.destination === '/dev/pts').toBe(true);
      expect(mount.type).not.toBe('bind');
    }
    expect(mounts.some(({ type }) => ['sysfs', 'cgroup', 'cgroup2'].includes(type))).toBe(false);
  });

  it('maps no id inside to root outside, and not one id twice', () => {
    for (const map of [rootMapping(0), rootMapping(4095)]) {
      expect(map.every(({ hostID, size }) => hostID > 0 && hostID + size <= 2 ** 31)).toBe(true);
    }
    const outside = userMapping(65536).flatMap(({ hostID, size }) => Array.from({ length: size }, (_, index) => hostID + index));
    expect(new Set(outside).size).toBe(65536);
    const inside = userMapping(65536).flatMap(({ containerID, size }) =>
      Array.from({ length: size }, (_, index) => containerID + index),
    );
    expect(inside.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 65536 }, (_, index) => index));
  });

  it('limits only what the host has a controller for', () => {
    const { resources } = ociConfig(spec, { ...facts, cgroup: { path: '/x', controllers: ['pids'], swap: false } }).linux;
    expect(resources).toEqual({ devices: [{ allow: false, access: 'rwm' }], pids: { limit: 256 } });
    expect(ociConfig(spec, { ...facts, cgroup: undefined }).linux.resources).toBeUndefined();
  });
});

describe('a command in a sandbox', () => {
  it('has the confinement of the first process and the id of the agent', () => {
    const first = ociConfig(spec, facts).process;
    const command = commandProcess(spec, { command: ['true'], tty: false, executionId: 'x' });
    const { user: _user, args: _args, cwd: _cwd, env: _env, ...confinement } = command;
    const { user: _firstUser, args: _firstArgs, cwd: _firstCwd, env: _firstEnv, ...expected } = first;
    expect(confinement).toEqual(expected);
    expect(command.user).toEqual({ uid: 1000, gid: 1000, umask: 0o022 });
    expect(command.cwd).toBe('/workspace');
  });

  it('gets its own variables over those of the sandbox, and its arguments as they are', () => {
    const command = commandProcess(spec, {
      command: ['printf', '$(id)'],
      cwd: '/tmp',
      env: { LANG: 'C', X: 'a=b' },
      tty: true,
      executionId: 'x',
    });
    expect(command.env).toEqual(['PATH=/usr/bin:/bin', 'HOME=/home/agent', 'LANG=C', 'X=a=b']);
    expect(command.args).toEqual(['printf', '$(id)']);
    expect(command.terminal).toBe(true);
  });
});
