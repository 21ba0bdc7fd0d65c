import {
  firstProgram,
  memoryFolders,
  memoryOptions,
  outOfMemoryScore,
  processLimits,
  sharedMemoryBytes,
  socketBuffers,
} from '../kernel/limits.ts';
import { agentId } from '../oci/ids.ts';
import { maskedPaths, readonlyPaths } from '../kernel/proc-paths.ts';
import { seccompProfile, type Machine } from '../kernel/seccomp.ts';
import type { SandboxSpec } from '../engine.ts';
import type { EngineLimits } from '../engine-limits.ts';
import type { Protection } from '../workspace/protect.ts';
import { labelsOf, type Marks } from './labels.ts';

/**
 * Turns a spec into what the engine is asked to make. Pure: the one place where the confinement under Docker is written down.
 * Settings that elsewhere are left to the engine's defaults are stated here too, so that `read-back.ts` can compare all of them.
 */

export interface ContainerBody {
  readonly Hostname?: string;
  readonly User: string;
  readonly Image: string;
  readonly Entrypoint: readonly string[];
  readonly Cmd: readonly string[];
  readonly Env: readonly string[];
  readonly WorkingDir: string;
  readonly Labels: Readonly<Record<string, string>>;
  readonly Tty: false;
  readonly OpenStdin: false;
  readonly HostConfig: Readonly<Record<string, unknown>>;
}

export interface BodyFacts {
  readonly marks: Marks;
  readonly machine: Machine;
  /** id of the imported image, never a name */
  readonly image: string;
  /** `uid:gid` of the process that only waits */
  readonly firstUser: string;
  readonly limits: EngineLimits;
  /** processors of the machine: the engine refuses more */
  readonly processors: number;
  readonly runtime: SandboxSpec['runtime'];
  /** What the engine can bound here. What it cannot was waived by name, or nothing is made. */
  readonly bounds: { readonly memory: boolean; readonly swap: boolean; readonly cpu: boolean; readonly pids: boolean };
  /** whether the ids inside are not the host's */
  readonly userNamespace: boolean;
}

export interface BindMount {
  readonly Type: 'bind';
  readonly Source: string;
  readonly Target: string;
  readonly ReadOnly: boolean;
  readonly BindOptions: { readonly Propagation: 'rprivate'; readonly NonRecursive: true };
}

/** A copy of that one mount, without what is mounted below it and without what will be. */
export function bindMount(Source: string, Target: string, access: 'read' | 'write'): BindMount {
  const BindOptions = { Propagation: 'rprivate', NonRecursive: true } as const;
  return { Type: 'bind', Source, Target, ReadOnly: access === 'read', BindOptions };
}

export interface VolumeMount {
  readonly Type: 'volume';
  readonly Source: string;
  readonly Target: string;
  readonly ReadOnly: boolean;
  /** else the engine gives the folder the owner that the image has there */
  readonly VolumeOptions: { readonly NoCopy: true };
}

/** Of a volume by its name. */
export function volumeMount(Source: string, Target: string, access: 'read' | 'write'): VolumeMount {
  return { Type: 'volume', Source, Target, ReadOnly: access === 'read', VolumeOptions: { NoCopy: true } };
}

/** Where the keeper has the folder with the socket by which it hands out listeners. */
export const uplinkFolder = '/mnt';

/** Of what only holds the network and binds its listeners. */
export const keeperLimits = { memoryBytes: 64 * 1024 * 1024, cpus: 1, pids: 16, diskBytes: 0, fileBytes: 0, openFiles: 1024 };

export function keeperMounts(uplink: string): readonly BindMount[] {
  return [bindMount(uplink, uplinkFolder, 'read')];
}

/** Holds the network namespace: no interface but `lo`. It has its own files and processes, which the sandbox never sees. */
export function keeperBody(
  facts: BodyFacts,
  { hostname, mounts }: { readonly hostname: string; readonly mounts: readonly object[] },
): ContainerBody {
  const own = { ...facts, limits: keeperLimits };
  return {
    Hostname: hostname,
    ...commonBody(own),
    Labels: labelsOf(facts.marks, 'keeper'),
    HostConfig: {
      ...hostConfig(own),
      NetworkMode: 'none',
      Mounts: mounts,
      Tmpfs: {},
      // The listeners are bound by nobody with a right of root's.
      Sysctls: { ...socketBuffers, 'net.ipv4.ip_unprivileged_port_start': '0' },
    },
  };
}

/** Where the observer has the groups of the memory controller. */
export const groupsFolder = '/mnt';

/**
 * What enters the mounts of our other containers (setns(2) asks for the first two rights), sees their processes, finds a place
 * below a folder that is closed to others, and signals commands of other users. It has root's id and no file of the host but the
 * groups, where there are such, and goes with its last process.
 */
export function observerBody(facts: BodyFacts, { groups }: { readonly groups: string | undefined }): ContainerBody {
  const own = { ...facts, limits: keeperLimits };
  return {
    ...commonBody(own),
    User: '0:0',
    Labels: labelsOf(facts.marks, 'observer'),
    HostConfig: {
      ...hostConfig(own),
      CapAdd: ['SYS_ADMIN', 'SYS_CHROOT', 'SYS_PTRACE', 'DAC_READ_SEARCH', 'KILL'],
      SecurityOpt: ['no-new-privileges', 'seccomp=unconfined', 'apparmor=unconfined', 'label=disable'],
      PidMode: 'host',
      // Names of groups are told as seen from here.
      CgroupnsMode: 'host',
      AutoRemove: true,
      NetworkMode: 'none',
      Mounts: groups === undefined ? [] : [bindMount(groups, groupsFolder, 'write')],
      Tmpfs: {},
    },
  };
}

export interface SandboxPlace {
  /** id of the keeper's container */
  readonly keeper: string;
  readonly mounts: readonly BindMount[];
}

export function sandboxBody(facts: BodyFacts, { keeper, mounts }: SandboxPlace): ContainerBody {
  const { limits } = facts;
  const folders = memoryFolders(limits).map(({ destination, bytes, options }) => {
    const isExecutable = !options.includes('noexec');
    return [destination, ['rw', ...(isExecutable ? ['exec'] : []), ...memoryOptions(bytes, options)].join(',')] as const;
  });
  return {
    ...commonBody(facts),
    Labels: labelsOf(facts.marks, 'sandbox'),
    HostConfig: {
      ...hostConfig(facts),
      NetworkMode: `container:${keeper}`,
      // Whoever has no right in the user namespace that a network belongs to can make no container in it.
      ...(facts.userNamespace ? { UsernsMode: `container:${keeper}` } : {}),
      Mounts: mounts,
      Tmpfs: Object.fromEntries(folders),
    },
  };
}

export function commonBody({ firstUser, image }: BodyFacts) {
  const [program = '', ...rest] = firstProgram;
  return {
    User: firstUser,
    Image: image,
    Entrypoint: [program],
    Cmd: rest,
    Env: [],
    WorkingDir: '/',
    Tty: false,
    OpenStdin: false,
  } as const;
}

export type HostFacts = Pick<BodyFacts, 'limits' | 'machine' | 'runtime' | 'processors' | 'bounds' | 'userNamespace'>;

/** What confines every container of a sandbox, whoever asked for it. */
export function hostConfig({
  limits,
  machine,
  runtime,
  processors,
  bounds,
  userNamespace,
}: HostFacts): Readonly<Record<string, unknown>> {
  return {
    Privileged: false,
    CapAdd: [],
    CapDrop: ['ALL'],
    SecurityOpt: ['no-new-privileges', `seccomp=${JSON.stringify(seccompProfile(machine))}`],
    ReadonlyRootfs: true,
    PidMode: '',
    UTSMode: '',
    // The caller is the agent inside; all other ids are subordinate ones.
    UsernsMode: userNamespace ? `keep-id:uid=${agentId},gid=${agentId}` : '',
    IpcMode: 'private',
    CgroupnsMode: 'private',
    Devices: [],
    DeviceRequests: [],
    DeviceCgroupRules: [],
    GroupAdd: [],
    Binds: [],
    VolumesFrom: [],
    Links: [],
    ExtraHosts: [],
    PortBindings: {},
    PublishAllPorts: false,
    ShmSize: sharedMemoryBytes(limits),
    ...(bounds.memory ? { Memory: limits.memoryBytes } : {}),
    ...(bounds.memory && bounds.swap ? { MemorySwap: limits.memoryBytes } : {}),
    ...(bounds.cpu ? { NanoCpus: Math.round(Math.min(limits.cpus, processors) * 1e9) } : {}),
    ...(bounds.pids ? { PidsLimit: limits.pids } : {}),
    OomScoreAdj: outOfMemoryScore,
    OomKillDisable: false,
    Ulimits: ulimits(limits, userNamespace),
    // There is no /sys in a sandbox: the engine mounts one, and this hides it.
    MaskedPaths: ['/sys', ...maskedPaths.filter((path) => !path.startsWith('/sys'))],
    ReadonlyPaths: readonlyPaths,
    Runtime: runtime,
    Init: false,
    AutoRemove: false,
    RestartPolicy: { Name: 'no', MaximumRetryCount: 0 },
    LogConfig: { Type: 'none', Config: {} },
  };
}

/** Not the number of processes without a user namespace: it is counted for the id on the whole host. `PidsLimit` bounds it. */
function ulimits(limits: EngineLimits, userNamespace: boolean): readonly object[] {
  return Object.entries(processLimits(limits))
    .filter(([name]) => userNamespace || name !== 'NPROC')
    .map(([name, value]) => ({ Name: name.toLowerCase(), Hard: value, Soft: value }));
}

export interface MountFacts {
  readonly protections: readonly Protection[];
  readonly covers: { readonly empty: string; readonly json: string };
  /** shown beside `spec.files` */
  readonly ownFiles: SandboxSpec['files'];
}

/** Parents first, as the plan has them; the engine mounts by depth anyway. */
export function sandboxMounts(
  { workspace, home, files }: SandboxSpec,
  { protections, covers, ownFiles }: MountFacts,
): readonly BindMount[] {
  return [
    bindMount(home, '/home/agent', 'write'),
    bindMount(workspace.path, '/workspace', workspace.mode === 'readonly' ? 'read' : 'write'),
    ...[...files, ...ownFiles].map(({ source, target }) => bindMount(source, target, 'read')),
    ...protections.map(({ path, writable, placeholder }) => {
      const cover = path.endsWith('.json') ? covers.json : covers.empty;
      const source = placeholder === 'socket' ? cover : `${workspace.path}/${path}`;
      return bindMount(source, `/workspace/${path}`, writable ? 'write' : 'read');
    }),
  ];
}
