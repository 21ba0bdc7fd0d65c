import { z } from 'zod';

/**
 * The body of `POST /containers/create` (Docker Engine API 1.41, and what newer clients write in it), key by key. Each key is of
 * one of three kinds: read, ignored whatever it says, or refused unless it is empty.
 */

/** Says nothing, in any of the ways in which clients do. Anything else would be a hole or a promise that is not kept. */
const nothing = z.custom<unknown>(isNothing, 'is not offered to the containers of a sandbox');

/** As `nothing`, or one of these. */
const nothingBut = (...values: readonly unknown[]) =>
  z.custom<unknown>((value) => isNothing(value) || values.includes(value), 'is not offered to the containers of a sandbox');

/** Confinement is the same whatever it says. */
const withoutEffect = z.unknown();

function isNothing(value: unknown): boolean {
  if (value === undefined || value === null || value === '' || value === 0 || value === false) {
    return true;
  }
  return typeof value === 'object' && (Array.isArray(value) ? value.every(isNothing) : Object.keys(value).length === 0);
}

const text = z
  .string()
  .max(4096)
  .refine((value) => !value.includes('\0'), 'holds a byte that no text has');
const words = z.array(z.string().max(131_072)).max(1024);
const count = z.number().int().min(0);
const labels = z.record(z.string().max(256), z.string().max(65_536));
const port = z.string().regex(/^\d{1,5}(?:\/(?:tcp|udp|sctp))?$/, 'is not a port');
const empty = z.strictObject({}).nullish();

const argumentList = z
  .union([
    words,
    z
      .string()
      .max(4096)
      .transform((value) => (value === '' ? [] : [value])),
  ])
  .nullish();

const health = z.strictObject({
  Test: words.nullish(),
  Interval: count.nullish(),
  Timeout: count.nullish(),
  Retries: count.nullish(),
  StartPeriod: count.nullish(),
  StartInterval: nothing,
});

const driverConfig = z.strictObject({ Name: nothingBut('local'), Options: nothing });

const mount = z.strictObject({
  Type: z.enum(['bind', 'volume', 'tmpfs']),
  Source: text.nullish(),
  Target: text,
  ReadOnly: z.boolean().nullish(),
  Consistency: withoutEffect.optional(),
  BindOptions: z
    .strictObject({
      Propagation: nothingBut('rprivate', 'private'),
      NonRecursive: withoutEffect.optional(),
      CreateMountpoint: withoutEffect.optional(),
      ReadOnlyNonRecursive: withoutEffect.optional(),
      ReadOnlyForceRecursive: withoutEffect.optional(),
    })
    .partial()
    .nullish(),
  VolumeOptions: z
    .strictObject({
      NoCopy: withoutEffect,
      Labels: withoutEffect,
      DriverConfig: driverConfig.partial().nullish(),
      Subpath: nothing,
    })
    .partial()
    .nullish(),
  TmpfsOptions: z
    .strictObject({ SizeBytes: count.nullish(), Mode: withoutEffect.optional(), Options: nothing })
    .partial()
    .nullish(),
});

const hostConfig = z
  .strictObject({
    // read
    Binds: words.nullish(),
    Mounts: z.array(mount).max(64).nullish(),
    Tmpfs: z.record(text, z.string().max(256)).nullish(),
    NetworkMode: text.nullish(),
    PortBindings: z
      .record(
        port,
        z
          .array(z.strictObject({ HostIp: text.nullish(), HostPort: text.nullish() }))
          .max(4)
          .nullish(),
      )
      .nullish(),
    PublishAllPorts: z.boolean().nullish(),
    AutoRemove: z.boolean().nullish(),
    Memory: count.nullish(),
    NanoCpus: count.nullish(),
    CpuQuota: z.number().int().nullish(),
    CpuPeriod: count.nullish(),
    PidsLimit: z.number().int().nullish(),
    ReadonlyRootfs: z.boolean().nullish(),
    RestartPolicy: z.strictObject({ Name: text.nullish(), MaximumRetryCount: count.nullish() }).partial().nullish(),
    Init: z.boolean().nullish(),
    // of no effect: no container has any, or each of them has its share
    CapDrop: withoutEffect,
    ConsoleSize: withoutEffect,
    CpuShares: withoutEffect,
    BlkioWeight: withoutEffect,
    MemoryReservation: withoutEffect,
    MemorySwap: withoutEffect,
    MemorySwappiness: withoutEffect,
    OomScoreAdj: withoutEffect,
    ShmSize: withoutEffect,
    Annotations: nothing,
    // refused unless they say nothing
    Privileged: nothing,
    CapAdd: nothing,
    Capabilities: nothing,
    SecurityOpt: z.custom<unknown>(isOnlyStricter, 'is not offered to the containers of a sandbox'),
    Devices: nothing,
    DeviceRequests: nothing,
    DeviceCgroupRules: nothing,
    PidMode: nothing,
    IpcMode: nothingBut('private', 'none'),
    UTSMode: nothing,
    UsernsMode: nothing,
    CgroupnsMode: nothingBut('private'),
    Cgroup: nothing,
    CgroupParent: nothing,
    VolumesFrom: nothing,
    VolumeDriver: nothingBut('local'),
    Links: nothing,
    ExtraHosts: nothing,
    Dns: nothing,
    DnsOptions: nothing,
    DnsSearch: nothing,
    GroupAdd: nothing,
    Sysctls: nothing,
    StorageOpt: nothing,
    Runtime: nothingBut('runc'),
    Isolation: nothingBut('default'),
    LogConfig: z
      .strictObject({ Type: nothingBut('json-file'), Config: withoutEffect })
      .partial()
      .nullish(),
    ContainerIDFile: nothing,
    MaskedPaths: nothing,
    ReadonlyPaths: nothing,
    Ulimits: nothing,
    OomKillDisable: nothing,
    CpuRealtimePeriod: nothing,
    CpuRealtimeRuntime: nothing,
    CpusetCpus: nothing,
    CpusetMems: nothing,
    BlkioWeightDevice: nothing,
    BlkioDeviceReadBps: nothing,
    BlkioDeviceWriteBps: nothing,
    BlkioDeviceReadIOps: nothing,
    BlkioDeviceWriteIOps: nothing,
    KernelMemory: nothing,
    KernelMemoryTCP: nothing,
    CpuCount: nothing,
    CpuPercent: nothing,
    IOMaximumIOps: nothing,
    IOMaximumBandwidth: nothing,
  })
  .partial();

/** What every container has anyway. */
function isOnlyStricter(value: unknown): boolean {
  const stricter = ['no-new-privileges', 'no-new-privileges:true', 'no-new-privileges=true'];
  return isNothing(value) || (Array.isArray(value) && value.every((option) => stricter.includes(String(option))));
}

const endpoint = z
  .strictObject({
    Aliases: words.nullish(),
    NetworkID: withoutEffect,
    Links: nothing,
    IPAMConfig: nothing,
    DriverOpts: nothing,
    MacAddress: nothing,
    EndpointID: withoutEffect,
    Gateway: withoutEffect,
    IPAddress: withoutEffect,
    IPPrefixLen: withoutEffect,
    IPv6Gateway: withoutEffect,
    GlobalIPv6Address: withoutEffect,
    GlobalIPv6PrefixLen: withoutEffect,
    DNSNames: withoutEffect,
    GwPriority: withoutEffect,
  })
  .partial();

export type Endpoint = z.output<typeof endpoint>;

export const createSchema = z
  .strictObject({
    Image: z.string().min(1).max(512),
    Cmd: argumentList,
    Entrypoint: argumentList,
    Env: z.array(z.string().max(131_072)).max(1024).nullish(),
    WorkingDir: text.nullish(),
    Labels: labels.nullish(),
    Tty: z.boolean().nullish(),
    OpenStdin: z.boolean().nullish(),
    StdinOnce: z.boolean().nullish(),
    ExposedPorts: z.record(port, empty).nullish(),
    Volumes: z.record(text, empty).nullish(),
    Healthcheck: health.partial().nullish(),
    StopSignal: z
      .string()
      .regex(/^(?:(?:SIG)?[A-Z0-9+-]{1,16}|\d{1,2})?$/, 'is not a signal')
      .nullish(),
    StopTimeout: count.max(3600).nullish(),
    Hostname: text.nullish(),
    HostConfig: hostConfig.nullish(),
    NetworkingConfig: z
      .strictObject({ EndpointsConfig: z.record(text, endpoint.nullish()).nullish() })
      .partial()
      .nullish(),
    // said in the query, and by some clients here too
    name: text.nullish(),
    platform: withoutEffect,
    // whatever it says: all containers of a sandbox run as its agent
    User: text.nullish(),
    AttachStdin: withoutEffect,
    AttachStdout: withoutEffect,
    AttachStderr: withoutEffect,
    Domainname: withoutEffect,
    NetworkDisabled: nothing,
    MacAddress: nothing,
    OnBuild: nothing,
    Shell: nothing,
    ArgsEscaped: nothing,
  })
  .partial()
  .required({ Image: true });

export type CreateBody = z.output<typeof createSchema>;

export const commandSchema = z
  .strictObject({
    Cmd: words.min(1),
    Env: z.array(z.string().max(131_072)).max(1024).nullish(),
    WorkingDir: text.nullish(),
    Tty: z.boolean().nullish(),
    AttachStdin: z.boolean().nullish(),
    AttachStdout: z.boolean().nullish(),
    AttachStderr: z.boolean().nullish(),
    User: withoutEffect,
    DetachKeys: withoutEffect,
    ConsoleSize: withoutEffect,
    Detach: withoutEffect,
    Privileged: nothing,
    Container: withoutEffect,
  })
  .partial()
  .required({ Cmd: true });

export const commandStartSchema = z
  .strictObject({
    Detach: z.boolean().nullish(),
    Tty: z.boolean().nullish(),
    ConsoleSize: withoutEffect,
    hijack: withoutEffect,
    stdin: withoutEffect,
  })
  .partial();

export const networkSchema = z
  .strictObject({
    Name: z.string().regex(/^[a-zA-Z0-9][\w.-]{0,127}$/, 'is not the name of a network'),
    Labels: labels.nullish(),
    Driver: nothingBut('bridge', 'default'),
    CheckDuplicate: withoutEffect,
    Internal: withoutEffect,
    Attachable: withoutEffect,
    EnableIPv6: nothing,
    EnableIPv4: withoutEffect,
    IPAM: z
      .strictObject({ Driver: nothingBut('default'), Config: nothing, Options: nothing })
      .partial()
      .nullish(),
    Options: nothing,
    Scope: nothingBut('local'),
    Ingress: nothing,
    ConfigOnly: nothing,
    ConfigFrom: nothing,
  })
  .partial()
  .required({ Name: true });

export const connectSchema = z
  .strictObject({ Container: text, EndpointConfig: endpoint.nullish(), Force: withoutEffect })
  .partial()
  .required({ Container: true });

export const volumeSchema = z
  .strictObject({
    Name: z
      .string()
      .regex(/^(?:[a-zA-Z0-9][\w.-]{0,127})?$/, 'is not the name of a volume')
      .nullish(),
    Driver: nothingBut('local'),
    DriverOpts: nothing,
    Labels: labels.nullish(),
    ClusterVolumeSpec: nothing,
  })
  .partial();
