import type { CommandSpec, EngineLimits, SandboxSpec, TerminalSize } from '../engine.ts';
import { agentId, keeperId, type IdMapping } from './ids.ts';
import { maskedPaths, readonlyPaths } from './proc-paths.ts';
import { seccompProfile, type Machine, type Seccomp } from './seccomp.ts';

/**
 * From a spec to the bundle's `config.json` (OCI runtime specification 1.0.2). Pure: the one place where the confinement
 * is written down, for the first process and for every command after it.
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

const MiB = 1024 * 1024;

const namespaces = ['pid', 'network', 'ipc', 'uts', 'mount', 'user', 'cgroup'];

/** With SIGCHLD ignored, which survives `exec`, the kernel itself buries orphans. */
const keeper = ['/usr/bin/env', '--ignore-signal=CHLD', 'sleep', 'infinity'];

export function ociConfig(spec: SandboxSpec, facts: BundleFacts): OciConfig {
  return {
    ociVersion: '1.0.2',
    // Variables are for commands; what sleeps needs none, and its container may have been made for whoever asks.
    process: processOf({ ...spec, env: {} }, { id: keeperId, command: keeper, cwd: '/', env: {}, tty: false }),
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
    oomScoreAdj: 500,
    rlimits: rlimits(spec.limits),
  };
}

const defaultEnv = { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', HOME: '/home/agent' };

function rlimits(limits: EngineLimits): OciProcess['rlimits'] {
  const values = {
    RLIMIT_CORE: 0,
    RLIMIT_FSIZE: limits.fileBytes,
    // Of these two the caller has so much for all sandboxes and for itself (getrlimit(2), 8 MiB and 800 KiB): each gets a quarter.
    RLIMIT_MEMLOCK: 2 * MiB,
    RLIMIT_MSGQUEUE: 200 * 1024,
    // What a caller may do to the order of processes, a sandbox may not.
    RLIMIT_NICE: 0,
    RLIMIT_RTPRIO: 0,
    RLIMIT_NOFILE: limits.openFiles,
    // Counted by user namespace since Linux 5.14: the bound where no cgroup can give one.
    RLIMIT_NPROC: limits.pids,
    // Timers of a process are kept in one table of the host, and each of them is one of these.
    RLIMIT_SIGPENDING: 1024,
  };
  return Object.entries(values).map(([type, value]) => ({ type, hard: value, soft: value }));
}

const cpuPeriodUs = 100_000;

/**
 * Least, first and greatest size of a TCP connection's buffers, of both ends inside (tcp(7)). All of a host share one amount of
 * memory for them, and with the usual 4 to 32 MiB a few hundred connections that nobody reads take it from every program.
 */
export const socketBuffers = {
  'net.ipv4.tcp_rmem': '4096 131072 1048576',
  'net.ipv4.tcp_wmem': '4096 65536 524288',
};

function resources(limits: EngineLimits, { swap, controllers }: Cgroup): object {
  const wanted = {
    memory: { limit: limits.memoryBytes, ...(swap ? { swap: limits.memoryBytes } : {}) },
    cpu: { quota: Math.max(1000, Math.round(limits.cpus * cpuPeriodUs)), period: cpuPeriodUs },
    pids: { limit: limits.pids },
  };
  const limited = Object.entries(wanted).filter(([name]) => controllers.includes(name));
  return { devices: [{ allow: false, access: 'rwm' }], ...Object.fromEntries(limited) };
}

/** Pseudo-terminals come from one pool of the host (4096 by default): a sandbox gets a bounded part. */
const maximumTerminals = 64;

function systemMounts(limits: EngineLimits): readonly OciMount[] {
  const half = Math.floor(limits.memoryBytes / 2);
  return [
    { destination: '/proc', type: 'proc', source: 'proc', options: ['nosuid', 'noexec', 'nodev'] },
    memoryMount('/dev', 64 * 1024, ['noexec', 'mode=0755']),
    {
      destination: '/dev/pts',
      type: 'devpts',
      source: 'devpts',
      // Terminals are devices: this one mount cannot be nodev.
      options: ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620', 'gid=5', `max=${maximumTerminals}`],
    },
    memoryMount('/dev/shm', Math.min(half, 256 * MiB), ['noexec', 'mode=1777']),
    { destination: '/dev/mqueue', type: 'mqueue', source: 'mqueue', options: ['nosuid', 'noexec', 'nodev'] },
    memoryMount('/run', 16 * MiB, ['noexec', 'mode=0755']),
    memoryMount('/tmp', half, ['mode=1777']),
    memoryMount('/var/tmp', half, ['mode=1777']),
  ];
}

/** Files in memory, bounded in bytes and in number. */
function memoryMount(destination: string, bytes: number, options: readonly string[]): OciMount {
  const inodes = Math.max(256, Math.floor(bytes / 4096));
  return {
    destination,
    type: 'tmpfs',
    source: 'tmpfs',
    options: ['nosuid', 'nodev', ...options, `size=${bytes}`, `nr_inodes=${inodes}`],
  };
}
