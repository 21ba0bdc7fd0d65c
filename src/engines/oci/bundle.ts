import type { CommandSpec, SandboxSpec, TerminalSize } from '../engine.ts';
import type { EngineLimits } from '../engine-limits.ts';
import { agentId, keeperId, type IdMapping } from './ids.ts';
import {
  defaultEnv,
  firstProgram,
  maximumTerminals,
  memoryFolders,
  memoryOptions,
  outOfMemoryScore,
  processLimits,
  sharedMemoryBytes,
  socketBuffers,
  type MemoryFolder,
} from '../kernel/limits.ts';
import { maskedPaths, readonlyPaths } from '../kernel/proc-paths.ts';
import { seccompProfile, type Machine, type Seccomp } from '../kernel/seccomp.ts';

/**
 * Turns a spec into the bundle's `config.json` (OCI runtime specification 1.0.2). Pure: the one place where the confinement is
 * written down, for the first process and for every command after it.
 */

export interface BundleFacts {
  readonly machine: Machine;
  /** where `stage.pl` shows the root file system with workspace, home and files in their places */
  readonly stage: string;
  readonly idMapping: readonly IdMapping[];
  /** `undefined`: no cgroup can be used here, and a human waived that */
  readonly cgroup: Cgroup | undefined;
  readonly seccomp: boolean;
}

export interface Cgroup {
  readonly path: string;
  /** of memory, cpu, pids: what can be limited here */
  readonly controllers: readonly string[];
  readonly swap: boolean;
}

export interface OciConfig {
  readonly ociVersion: string;
  readonly process: OciProcess;
  readonly root: { readonly path: string; readonly readonly: true };
  readonly hostname: string;
  readonly mounts: readonly OciMount[];
  readonly linux: {
    readonly uidMappings: readonly IdMapping[];
    readonly gidMappings: readonly IdMapping[];
    readonly namespaces: readonly { readonly type: string }[];
    readonly cgroupsPath?: string;
    readonly resources?: object;
    readonly sysctl: Readonly<Record<string, string>>;
    readonly seccomp?: Seccomp;
    readonly maskedPaths: readonly string[];
    readonly readonlyPaths: readonly string[];
  };
}

export interface OciMount {
  readonly destination: string;
  readonly type: string;
  readonly source: string;
  readonly options: readonly string[];
}

export interface OciProcess {
  readonly terminal: boolean;
  readonly consoleSize?: { readonly height: number; readonly width: number } | undefined;
  readonly user: { readonly uid: number; readonly gid: number; readonly umask: number };
  readonly args: readonly string[];
  readonly env: readonly string[];
  readonly cwd: string;
  readonly capabilities: Readonly<Record<'bounding' | 'effective' | 'inheritable' | 'permitted' | 'ambient', readonly string[]>>;
  readonly noNewPrivileges: true;
  readonly oomScoreAdj: number;
  readonly rlimits: readonly { readonly type: string; readonly hard: number; readonly soft: number }[];
}

const namespaces = ['pid', 'network', 'ipc', 'uts', 'mount', 'user', 'cgroup'];

export function ociConfig(spec: SandboxSpec, facts: BundleFacts): OciConfig {
  return {
    ociVersion: '1.0.2',
    // Variables are for commands; what sleeps needs none, and its container may have been made for whoever asks.
    process: processOf({ ...spec, env: {} }, { id: keeperId, command: firstProgram, cwd: '/', env: {}, tty: false }),
    root: { path: facts.stage, readonly: true },
    hostname: spec.hostname,
    mounts: systemMounts(spec.limits),
    linux: {
      uidMappings: facts.idMapping,
      gidMappings: facts.idMapping,
      namespaces: namespaces.map((type) => ({ type })),
      ...(facts.cgroup === undefined ? {} : { cgroupsPath: facts.cgroup.path, resources: resources(spec.limits, facts.cgroup) }),
      sysctl: socketBuffers,
      ...(facts.seccomp ? { seccomp: seccompProfile(facts.machine) } : {}),
      maskedPaths,
      readonlyPaths,
    },
  };
}

/** A command in a sandbox: the same confinement as the first process, the agent's id. */
export function commandProcess(
  spec: SandboxSpec,
  { command, cwd = '/workspace', env = {}, ...terminal }: CommandSpec,
): OciProcess {
  return processOf(spec, { id: agentId, command, cwd, env, ...terminal });
}

interface ProcessWish {
  readonly id: number;
  readonly command: readonly string[];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  readonly tty: boolean;
  readonly terminalSize?: TerminalSize | undefined;
}

function processOf(spec: SandboxSpec, { id, command, cwd, env, tty, terminalSize }: ProcessWish): OciProcess {
  return {
    terminal: tty,
    ...(terminalSize === undefined ? {} : { consoleSize: { height: terminalSize.rows, width: terminalSize.columns } }),
    user: { uid: id, gid: id, umask: 0o022 },
    args: command,
    env: Object.entries({ ...defaultEnv, ...spec.env, ...env }).map(([name, value]) => `${name}=${value}`),
    cwd,
    capabilities: { bounding: [], effective: [], inheritable: [], permitted: [], ambient: [] },
    noNewPrivileges: true,
    oomScoreAdj: outOfMemoryScore,
    rlimits: rlimits(spec.limits),
  };
}

function rlimits(limits: EngineLimits): OciProcess['rlimits'] {
  return Object.entries(processLimits(limits)).map(([name, value]) => ({ type: `RLIMIT_${name}`, hard: value, soft: value }));
}

const cpuPeriodUs = 100_000;

function resources(limits: EngineLimits, { swap, controllers }: Cgroup): object {
  const wanted = {
    memory: { limit: limits.memoryBytes, ...(swap ? { swap: limits.memoryBytes } : {}) },
    cpu: { quota: Math.max(1000, Math.round(limits.cpus * cpuPeriodUs)), period: cpuPeriodUs },
    pids: { limit: limits.pids },
  };
  const limited = Object.entries(wanted).filter(([name]) => controllers.includes(name));
  return { devices: [{ allow: false, access: 'rwm' }], ...Object.fromEntries(limited) };
}

function systemMounts(limits: EngineLimits): readonly OciMount[] {
  return [
    { destination: '/proc', type: 'proc', source: 'proc', options: ['nosuid', 'noexec', 'nodev'] },
    memoryMount({ destination: '/dev', bytes: 64 * 1024, options: ['noexec', 'mode=0755'] }),
    {
      destination: '/dev/pts',
      type: 'devpts',
      source: 'devpts',
      // Terminals are devices: this one mount cannot be nodev.
      options: ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620', 'gid=5', `max=${maximumTerminals}`],
    },
    memoryMount({ destination: '/dev/shm', bytes: sharedMemoryBytes(limits), options: ['noexec', 'mode=1777'] }),
    { destination: '/dev/mqueue', type: 'mqueue', source: 'mqueue', options: ['nosuid', 'noexec', 'nodev'] },
    ...memoryFolders(limits).map(memoryMount),
  ];
}

function memoryMount({ destination, bytes, options }: MemoryFolder): OciMount {
  return { destination, type: 'tmpfs', source: 'tmpfs', options: memoryOptions(bytes, options) };
}
