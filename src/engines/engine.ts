import type { EngineChoice } from './engine-choice.ts';
import type { EngineLimits } from './engine-limits.ts';
import type { LayerName } from '../base/layers.ts';
import type { Ingress } from '../system/ingress.ts';
import type { SandboxContainers } from './containers.ts';

/**
 * One container runtime. Plain data in, plain data out: no type of a runtime's client library appears here, and an engine knows
 * neither policy nor gateway. It gets a finished `SandboxSpec` and carries it out, or throws.
 *
 * Life of a sandbox: `create` (namespaces and mounts exist, nothing of the image runs) → `ingress` → `start` → any number of
 * `attach` → `stop` → `start` … → `remove`. Every method is idempotent where that has a meaning.
 */
export interface Engine {
  readonly name: string;
  readonly can: (runtime: SandboxSpec['runtime']) => Readonly<Record<Capability, boolean>>;
  /** What this host gives, layer by layer, each answered by a probe and not by a guess. */
  readonly examine: (runtime: string, options?: ExamineOptions) => Promise<readonly LayerReport[]>;
  /** The program that this runtime is, where it is not there; found at once. Of an engine that finds it elsewhere: absent. */
  readonly missingTool?: (runtime: string, options?: Pick<ExamineOptions, 'engine'>) => Promise<string | undefined>;
  /** How the engine is looked for, way by way in the order in which they count; where there is nothing to find, absent. */
  readonly places?: () => Promise<readonly EnginePlace[]>;
  /** Which of those is used for sandboxes; where no other program serves this engine, `undefined`. */
  readonly choice?: (options?: Pick<ExamineOptions, 'engine'>) => Promise<EngineChoice | undefined>;
  /** Throws `LAYER_MISSING` for a layer the host lacks and `spec.waived` does not name; `ENGINE_FAILED` otherwise. */
  readonly create: (spec: SandboxSpec, options?: Abortable) => Promise<void>;
  /** Listens inside the sandbox's network namespace. The caller closes it. */
  readonly ingress: (id: string, ports: IngressPorts, options?: Abortable) => Promise<Ingress>;
  readonly start: (id: string, options?: Abortable) => Promise<void>;
  /** Asks, waits `graceMs`, then kills. Everything in the sandbox is gone when this resolves. */
  readonly stop: (id: string, options?: Abortable & { readonly graceMs?: number }) => Promise<void>;
  /** Removes what the engine made: container, mounts, cgroups, stage. Never the workspace or the home. */
  readonly remove: (id: string, options?: Abortable) => Promise<void>;
  /** Our sandboxes of this owner, by label: the truth the daemon reconciles with. */
  readonly list: (owner: string, options?: Abortable) => Promise<readonly EngineSandbox[]>;
  /** Removes what a killed process left and no sandbox owns. For a process that has just begun: nothing is made meanwhile. */
  readonly tidy: () => Promise<void>;
  /** How many containers may wait for sandboxes to come, prepared as far as they can be without knowing whose they will be. */
  readonly holdReady?: (count: number) => void;
  /**
   * Limits for all sandboxes of this owner together, from now on; throws where they do not hold. Sandboxes that were made
   * before the first call are not among them. `undefined` where an engine, or the caller's rights on this host, has no such thing.
   */
  readonly limitTogether?: (owner: string, limits: TogetherLimits) => Promise<TogetherUse | undefined>;
  /** The argument list that runs a command inside with the confinement of the sandbox; the caller starts it. */
  readonly attach: (id: string, command: CommandSpec) => Promise<Invocation>;
  /**
   * Ends a command and what it started in its session, at once; `leader` is what the invocation's `pidFile` holds. What left
   * the session on purpose stays.
   */
  readonly endSession: (id: string, leader: string) => Promise<void>;
  /** Ends commands inside whose runtime was killed, so that nobody waits for them; after a caller was lost. */
  readonly endOrphans: (id: string) => Promise<void>;
  readonly stats: (id: string, options?: Abortable) => Promise<Stats>;
  /** Paths of its workspace that are protected or pinned while it runs, as they were found at its start; none: it is not known. */
  readonly heldPlaces?: (id: string) => Promise<readonly string[]>;
  /** Host process ids inside, for outside probes. */
  readonly processes: (id: string) => Promise<readonly number[]>;
  /**
   * Links of the first process's namespaces by their names (proc(5), `ns`), where the engine can tell what whoever calls may not
   * look at; none where they are another kernel's. Absent: it can tell no more than anybody.
   */
  readonly namespaces?: (id: string) => Promise<Readonly<Record<string, string>>>;
  /**
   * Copies the home of a sandbox that does not run to a file that is not there yet; resolves to its bytes on disk. Throws
   * `UNSUPPORTED` where the home is no file. Absent: this engine has no such homes.
   */
  readonly keepHome?: (id: string, home: string, to: string, options?: Abortable) => Promise<number>;
  /** Puts such a copy in the place of the home, at once or not at all. */
  readonly putHomeBack?: (id: string, home: string, from: string, options?: Abortable) => Promise<void>;
  /** Tells, from now on, what others do to sandboxes through the engine; where nobody else can reach them there is nothing to tell. */
  readonly watch?: (tell: (change: Unmanaged) => void) => void;
  /** Ends what was made ready for sandboxes to come. Those that run stay; no other call follows. */
  readonly close?: () => Promise<void>;
  /** Containers that the sandbox may have beside itself; `undefined`: this engine has none. */
  readonly containers?: (id: string) => Promise<SandboxContainers>;
  /** Who inside holds a connection to the gateway at this moment; `undefined` where nobody does or that cannot be told. */
  readonly processOf: (id: string, connection: SandboxConnection) => Promise<SendingProcess | undefined>;
}

export interface EnginePlace {
  /** e.g. `DOCKER_HOST` */
  readonly strategy: string;
  /** the first that names an engine, answering or not: no other is taken in its place */
  readonly isUsed: boolean;
  readonly available: boolean;
  /** what answers there, or why nothing does */
  readonly detail: string;
}

/** A deed of somebody else, seen after it was done. */
export interface Unmanaged {
  /** of the sandbox */
  readonly id: string;
  readonly what:
    | 'command'
    | 'ended'
    | 'imitated'
    | 'killed'
    | 'network-attached'
    | 'network-detached'
    | 'paused'
    | 'read'
    | 'removed'
    | 'renamed'
    | 'resumed'
    | 'started'
    | 'updated'
    | 'written';
  readonly detail: Readonly<Record<string, string | boolean>>;
  /** what the sandbox is after that; `another` than was planned must not go on */
  readonly leaves: 'as-planned' | 'another' | 'ended';
}

/** `ownKernel`: programs inside are answered by a kernel of their own, and are no processes of the host. */
export type Capability = 'pauses' | 'limitsDisk' | 'limitsMemory' | 'rootless' | 'ownKernel';

/** A TCP connection as the sandbox sees it: its own port, and the address and port it connected to. */
export interface SandboxConnection {
  readonly localPort: number;
  /** dotted IPv4 */
  readonly remoteAddress: string;
  readonly remotePort: number;
}

export interface SendingProcess {
  /** on the machine whose kernel runs the sandbox: this host, unless the engine is elsewhere */
  readonly pid: number;
  /** what it calls itself, cut and safe to print; may hold what was on its command line */
  readonly command: string;
}

export interface Abortable {
  readonly signal?: AbortSignal | undefined;
}

export interface ExamineOptions extends Abortable {
  /** of several engines, the one to ask */
  readonly engine?: string | undefined;
}

export interface LayerReport {
  readonly layer: LayerName;
  readonly available: boolean;
  /** what was probed and what it answered; for a missing layer also what to install or enable */
  readonly detail: string;
  /** The program that is not installed and without which nothing starts: no waiver takes its place. */
  readonly missingTool?: string | undefined;
}

export interface IngressPorts {
  readonly tcp: readonly number[];
  readonly udp: readonly number[];
}

export interface SandboxSpec {
  readonly id: string;
  /** id of the daemon's installation: `list` returns only its own */
  readonly owner: string;
  readonly hostname: string;
  readonly runtime: 'runc' | 'crun' | 'runsc';
  /** absolute path of the read-only root file system */
  readonly rootfs: string;
  readonly workspace: WorkspaceMount;
  /**
   * Host folder that becomes `/home/agent`, writable; made by the engine if absent, kept by `remove`. Where the disk limit
   * holds, the first start puts its files into a file system of limited size beside it (`<home>.ext4`), which then is the home.
   */
  readonly home: string;
  /** single files shown read-only, e.g. `/etc/resolv.conf`; `source` is ours, never a sandbox's */
  readonly files: readonly { readonly source: string; readonly target: string }[];
  /** environment of every command; no secret is ever here */
  readonly env: Readonly<Record<string, string>>;
  readonly limits: EngineLimits;
  /** Where `ingress` will listen: what is made before anybody asks for the sandbox can have them bound. */
  readonly ports?: IngressPorts | undefined;
  /** containers it may have beside itself, with limits of all of them together; absent: none */
  readonly containers?: NestedPart | undefined;
  /** missing layers a human accepted */
  readonly waived: readonly LayerName[];
}

export interface NestedPart {
  readonly limits: EngineLimits;
  /** host folder of their volumes, ours; kept by `remove` */
  readonly volumes: string;
}

export interface WorkspaceMount {
  /** absolute, real path on the host; appears as `/workspace` */
  readonly path: string;
  readonly mode: 'direct' | 'readonly';
  /**
   * Paths below the workspace that the sandbox can neither create, change, replace nor rename around, existing or not,
   * e.g. `.git/hooks`. Relative, normalised, without `..`.
   */
  readonly protect: readonly string[];
  /** the same for what lies at the very top of the workspace: deeper down these are names like any other */
  readonly fixed?: readonly string[] | undefined;
}

export interface TogetherLimits {
  readonly memoryBytes: number;
  /** `undefined`: no bound; they have the weight of one group beside the host's own */
  readonly cpus: number | undefined;
  readonly pids: number;
}

/** What all sandboxes of an owner use and may use, read from the kernel; `undefined` for what is not limited there. */
export interface TogetherUse {
  readonly memoryBytes: number | undefined;
  readonly memoryLimitBytes: number | undefined;
  readonly pids: number | undefined;
  readonly pidsLimit: number | undefined;
}

export interface EngineSandbox {
  readonly id: string;
  readonly state: 'created' | 'running' | 'stopped';
}

export interface CommandSpec {
  readonly command: readonly string[];
  readonly cwd?: string | undefined;
  /** added to the sandbox's environment */
  readonly env?: Readonly<Record<string, string>> | undefined;
  readonly tty: boolean;
  /** of the terminal, so that the command finds it at once; `undefined`: told by the first resize */
  readonly terminalSize?: TerminalSize | undefined;
  /** unique name of this execution */
  readonly executionId: string;
}

/** In characters, each from 1 to 65,535. */
export interface TerminalSize {
  readonly rows: number;
  readonly columns: number;
}

/** What the caller starts with its own terminal or pipes; it ends with the command's exit code. */
export interface Invocation {
  readonly file: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Written by the runtime once the command runs: the number `endSession` knows it by. */
  readonly pidFile: string;
  /** Written by the runtime when the command could not be started: its log, the error last. */
  readonly errorLog: string;
}

export interface Stats {
  readonly memoryBytes: number | undefined;
  readonly memoryPeakBytes: number | undefined;
  readonly cpuMs: number | undefined;
  readonly pids: number | undefined;
}
