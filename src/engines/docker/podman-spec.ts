import { CasemateError } from '../../base/errors.ts';
import type { BindMount, ContainerBody } from './container-bodies.ts';
import { fieldsOf, numberOf, rowsOf, textOf, type Fields } from './read-json.ts';

/**
 * The same container in Podman's own API (`SpecGenerator`, libpod 4). Its Docker-compatible API ignores what it does not know
 * (non-recursive mounts, masked paths) and wants the list of system calls as a file. Pure. A request that has no translation
 * here is refused: nothing is dropped silently.
 */

export interface PodmanFacts {
  /** a file of ours with the list of system calls: Podman reads it when the container is made */
  readonly seccompFile: string;
  /** Processes that the caller may have. Podman would ask for more where nothing is asked, and fail. */
  readonly processes: number;
}

/** Periods of the processor's time, in microseconds. */
const cpuPeriod = 100_000;

/** Said by Docker's default in other words, or by the absence of a field: each must have the value that means it. */
const asByDefault: Readonly<Record<string, (value: unknown) => boolean>> = {
  Privileged: isNothing,
  CapAdd: isNothing,
  PidMode: isNothing,
  UTSMode: isNothing,
  Devices: isNothing,
  DeviceRequests: isNothing,
  DeviceCgroupRules: isNothing,
  GroupAdd: isNothing,
  Binds: isNothing,
  VolumesFrom: isNothing,
  Links: isNothing,
  ExtraHosts: isNothing,
  PortBindings: isNothing,
  PublishAllPorts: isNothing,
  OomKillDisable: isNothing,
  Init: isNothing,
  AutoRemove: isNothing,
  IpcMode: (value) => value === 'private',
  CgroupnsMode: (value) => value === 'private',
  RestartPolicy: (value) => textOf(fieldsOf(value)['Name']) === 'no',
  LogConfig: (value) => textOf(fieldsOf(value)['Type']) === 'none',
  ReadonlyRootfs: (value) => value === true,
  CapDrop: (value) => JSON.stringify(value) === '["ALL"]',
  SecurityOpt: (value) => rowsOf(value)[0] === 'no-new-privileges' && rowsOf(value).length === 2,
};

/** Podman makes these read-only itself; `podman-read-back.ts` looks whether it did. */
const translated: ReadonlySet<string> = new Set([
  'NetworkMode',
  'UsernsMode',
  'Mounts',
  'Tmpfs',
  'Sysctls',
  'ShmSize',
  'Memory',
  'MemorySwap',
  'NanoCpus',
  'PidsLimit',
  'OomScoreAdj',
  'Ulimits',
  'MaskedPaths',
  'ReadonlyPaths',
  'Runtime',
]);

/** Throws `ENGINE_FAILED` for what has no translation. */
export function podmanSpec(name: string, body: ContainerBody, { seccompFile, processes }: PodmanFacts): object {
  const host = body.HostConfig;
  const unknown = Object.entries(host).filter(([key, value]) => !translated.has(key) && asByDefault[key]?.(value) !== true);
  if (unknown.length > 0) {
    throw new CasemateError('ENGINE_FAILED', `Podman cannot be asked for ${unknown.map(([key]) => key).join(', ')}`);
  }
  const own = { nsmode: 'private' };
  return {
    name,
    image: body.Image,
    entrypoint: body.Entrypoint,
    command: body.Cmd,
    user: body.User,
    work_dir: body.WorkingDir,
    labels: body.Labels,
    ...(body.Hostname === undefined ? {} : { hostname: body.Hostname }),
    pidns: own,
    utsns: own,
    ipcns: own,
    cgroupns: own,
    netns: namespaceOf(host['NetworkMode']),
    ...(isNothing(host['UsernsMode']) ? {} : { userns: namespaceOf(host['UsernsMode']) }),
    cap_drop: ['ALL'],
    no_new_privileges: true,
    read_only_filesystem: true,
    seccomp_profile_path: seccompFile,
    mask: host['MaskedPaths'],
    r_limits: limitsOf(host['Ulimits'], processes),
    ...resourcesOf(host),
    oom_score_adj: host['OomScoreAdj'],
    sysctl: host['Sysctls'] ?? {},
    shm_size: host['ShmSize'],
    mounts: [...rowsOf(host['Mounts']).map(bindOf), ...Object.entries(fieldsOf(host['Tmpfs'])).map(memoryFolder)],
    log_configuration: { driver: 'none' },
    oci_runtime: host['Runtime'],
    restart_policy: 'no',
    systemd: 'false',
    sdnotifyMode: 'ignore',
    image_volume_mode: 'ignore',
    // Nothing of the host's names; the sandbox brings its own.
    use_image_hosts: true,
    use_image_resolve_conf: true,
    manage_password: false,
    // What is removed has ended already, or is ended: its first process would take no other signal.
    stop_timeout: 0,
  };
}

/** `none`, `keep-id`, `container:ID` */
function namespaceOf(mode: unknown): object {
  const [nsmode = '', ...value] = textOf(mode).split(':');
  return value.length === 0 ? { nsmode } : { nsmode, value: value.join(':') };
}

function limitsOf(asked: unknown, processes: number): readonly object[] {
  const rows = rowsOf(asked)
    .map(fieldsOf)
    .map(({ Name, Hard, Soft }) => ({ type: textOf(Name).toUpperCase(), hard: Hard, soft: Soft }));
  const hasProcesses = rows.some(({ type }) => type === 'NPROC');
  return hasProcesses ? rows : [...rows, { type: 'NPROC', hard: processes, soft: processes }];
}

function resourcesOf(host: Fields): object {
  const { Memory: limit, MemorySwap: swap, PidsLimit: pids } = host;
  const cpus = numberOf(host['NanoCpus']);
  const limits = {
    ...(limit === undefined ? {} : { memory: { limit, ...(swap === undefined ? {} : { swap }) } }),
    ...(cpus === undefined ? {} : { cpu: { period: cpuPeriod, quota: cpuQuota(cpus) } }),
    ...(pids === undefined ? {} : { pids: { limit: pids } }),
  };
  return isNothing(limits) ? {} : { resource_limits: limits };
}

/** Of `NanoCpus`, in microseconds of each period. */
function cpuQuota(nanoCpus: number): number {
  return Math.round((nanoCpus / 1e9) * cpuPeriod);
}

function bindOf(mount: unknown): object {
  // oxlint-disable-next-line no-unsafe-type-assertion -- made by `bindMount`
  const { Source, Target, ReadOnly } = mount as BindMount;
  return { type: 'bind', source: Source, destination: Target, options: bindOptions(ReadOnly) };
}

/** `bind` and not `rbind`: without what is mounted below. */
export function bindOptions(isReadOnly: boolean): readonly string[] {
  return ['bind', 'rprivate', isReadOnly ? 'ro' : 'rw', 'nosuid', 'nodev'];
}

/** Podman has no word for a number of files: it is set from outside (`restrict-mounts.ts`). */
function memoryFolder([destination, options]: readonly [string, unknown]): object {
  const kept = textOf(options)
    .split(',')
    .filter((option) => !option.startsWith('nr_inodes='));
  return { type: 'tmpfs', source: 'tmpfs', destination, options: [...kept, 'notmpcopyup'] };
}

export function isNothing(value: unknown): boolean {
  if (value === undefined || value === null || value === '' || value === false || value === 0) {
    return true;
  }
  return typeof value === 'object' && Object.keys(value).length === 0;
}
