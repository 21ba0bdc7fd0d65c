import type { Origin } from './origin.ts';
import type { PlannedEngine } from '../base/engine-names.ts';
import type { HostName } from '../base/host.ts';
import type { LayerName } from '../base/layers.ts';
import type { Guards } from './guards.ts';

/** The resolved policy: what the layers allow together, every value with its origin. Frozen, plain data, JSON-safe. */

export const levels = ['personal', 'team', 'service', 'maximum'] as const;
export type Level = (typeof levels)[number];

/** Folders that a workspace can be laid out with; a sandbox reads `imports` and cannot write there. */
export const layoutFolders = ['imports', 'exports', 'shared', 'Projects', 'Documentation', 'Research'] as const;
export type LayoutFolder = (typeof layoutFolders)[number];

/** An exact name, or every name below one (`*.example.com` does not match `example.com`). */
export type HostPattern =
  | { readonly kind: 'exact'; readonly host: HostName }
  | { readonly kind: 'below'; readonly host: HostName };

/** One allowed function of a host. `path` is a glob: `*` within a segment, `**` across segments; query not included. */
export interface HttpAllowance {
  /** upper case; `undefined`: any method */
  readonly methods: readonly string[] | undefined;
  readonly path: string;
}

export const gitChanges = ['create', 'update', 'delete'] as const;
export type GitChange = (typeof gitChanges)[number];

/** What may be done with a repository of a git server. Reading is always among it. */
export interface GitAllowance {
  /** glob over the path of the repository, without leading slash and `.git`: `owner/name`, `owner/*`, `**` */
  readonly repository: string;
  /** globs over full names of references, e.g. `refs/heads/agent/*`; empty: no push */
  readonly push: readonly string[];
  readonly changes: readonly GitChange[];
}

/** What may be called of a server of the Model Context Protocol (Streamable HTTP). */
export interface McpAllowance {
  /** glob over the path of its endpoint */
  readonly path: string;
  /** globs over names of tools; `undefined`: every tool */
  readonly tools: readonly string[] | undefined;
  /** methods beside those that a session needs; `undefined`, and no tools named either: every method */
  readonly methods: readonly string[] | undefined;
}

export interface NetworkRule {
  /** unique within the policy, shown in denials and in the journal, e.g. `project:casemate.yaml:12` or `preset:claude:1` */
  readonly id: string;
  readonly host: HostPattern;
  readonly ports: readonly number[];
  /** name in `Policy.credentials`; the gateway puts the real value on the wire for this host */
  readonly credential: string | undefined;
  /** `undefined`, and no `git`, `mcp` and `registry` either: everything there; otherwise TLS is opened and each request is judged */
  readonly http: readonly HttpAllowance[] | undefined;
  /** pushing is judged by these alone, also where `http` would let the request pass */
  readonly git?: readonly GitAllowance[] | undefined;
  /** reads of packages, in the form its clients ask for them; from presets alone */
  readonly registry?: 'npm' | 'debian' | 'pypi' | undefined;
  /** its path is judged by this alone */
  readonly mcp?: McpAllowance | undefined;
  /** dial this instead, e.g. `http://127.0.0.1:8080`; loopback and private addresses are allowed here and only here */
  readonly upstream: string | undefined;
  readonly origin: Origin;
}

export type CredentialSource =
  | { readonly kind: 'env'; readonly name: string }
  /** refused unless it is a regular file of the caller with mode 0600 or stricter */
  | { readonly kind: 'file'; readonly path: string }
  /** argument list; the value is its standard output without the final line feed */
  | { readonly kind: 'command'; readonly command: readonly string[] }
  /** sealed in this installation, put there by `casemate credentials set` */
  | { readonly kind: 'stored'; readonly name: string }
  /** of the operating system: the login keychain of macOS, the Secret Service of a desktop */
  | { readonly kind: 'keychain'; readonly service: string; readonly account: string }
  /** a secret that Docker or Kubernetes mounted, e.g. `/run/secrets/token` */
  | { readonly kind: 'secret'; readonly path: string }
  /** wherever the AWS tools would find theirs; `undefined`: the profile they would take */
  | { readonly kind: 'aws'; readonly profile: string | undefined }
  /** came with the call that made the sandbox, sealed for that one alone; no policy file can say it */
  | { readonly kind: 'given' }
  /** the login of an agent, kept fresh on the host */
  | { readonly kind: 'login'; readonly agent: string }
  /** the first that is there; one that is there and unfit is a fault, not a reason to go on */
  | { readonly kind: 'first'; readonly sources: readonly CredentialSource[] };

export interface CredentialRule {
  readonly name: string;
  /** row of the provider table in `credentials/providers.ts`, e.g. `anthropic`, `github`, `header` */
  readonly provider: string;
  readonly source: CredentialSource;
  /** only for the provider `header` */
  readonly header: { readonly name: string; readonly format: string } | undefined;
  /** only for the provider `basic` */
  readonly basic?: { readonly user: string } | undefined;
  /** only for the provider `query` */
  readonly query?: { readonly parameter: string } | undefined;
  /** only for the provider `body` */
  readonly body?: { readonly field: string } | undefined;
  /** variable of the sandbox that holds the phantom; only for providers that stand for no service */
  readonly variable: string | undefined;
  readonly origin: Origin;
}

export interface Limits {
  readonly memoryBytes: number;
  readonly cpus: number;
  readonly pids: number;
  /** size of the home folder */
  readonly diskBytes: number;
  /** largest single file (RLIMIT_FSIZE), the bound that also holds in the workspace */
  readonly fileBytes: number;
  /** open descriptors a process */
  readonly openFiles: number;
  /** wall clock of the whole sandbox; `undefined`: none */
  readonly timeMs: number | undefined;
  /** stop after this long without a command running; `undefined`: never */
  readonly idleMs: number | undefined;
}

/** Whether a request that the rules deny may still be allowed by a person while the sandbox runs. */
export interface Asks {
  /** how long such a request waits for an answer; `undefined`: nobody is asked, and nothing is allowed later */
  readonly waitMs: number | undefined;
  /** `watched`: it waits only while somebody looks (`casemate requests --follow`), else it is listed and denied at once */
  readonly when: 'watched' | 'always';
}

/** Containers that programs inside may have, each of them part of the sandbox. */
export interface DockerOffer {
  readonly run: boolean;
  /** needs `run`: the steps of a build are containers */
  readonly build: boolean;
  /** images of the host's engine that may be used, by reference, such as `postgres:16` */
  readonly images: readonly string[];
}

/** Written in the place of an agent's name: commands only, whatever the layers above name. */
export const noAgent = 'none';

export interface Policy {
  readonly version: 1;
  readonly level: Level;
  readonly agent: {
    /** row of the agent table in `agents/`; `undefined`: no agent, commands only */
    readonly name: string | undefined;
    readonly permissions: 'ask' | 'skip';
    readonly telemetry: boolean;
    /** where it reaches its model, e.g. `bedrock`; `undefined`: at its maker's */
    readonly provider?: string | undefined;
    readonly region?: string | undefined;
    readonly project?: string | undefined;
  };
  /** recipe name, or path of a recipe file */
  readonly image: string;
  readonly engine: PlannedEngine | 'auto';
  readonly runtime: 'runc' | 'crun' | 'runsc';
  readonly workspace: {
    readonly path: string;
    readonly mode: 'direct' | 'readonly';
    /** in the order of `layoutFolders`; absent: none is asked for */
    readonly layout?: readonly LayoutFolder[] | undefined;
  };
  readonly presets: readonly string[];
  readonly network: readonly NetworkRule[];
  readonly credentials: readonly CredentialRule[];
  readonly limits: Limits;
  /** budgets, and what is held back beyond the rules */
  readonly guards: Guards;
  readonly asks: Asks;
  /** what of Docker is offered inside; `undefined`: nothing */
  readonly docker?: DockerOffer | undefined;
  /** rules of the organisation, which nobody's approval exceeds; `undefined`: it writes none */
  readonly bound: readonly NetworkRule[] | undefined;
  /** layers whose absence a human accepted; never from a project file */
  readonly waive: readonly LayerName[];
  /** origin of each scalar by its dotted path, e.g. `limits.memory` */
  readonly origins: Readonly<Record<string, Origin>>;
}

/** The judgement on a destination or a request. It has no default: what is not decided is denied. */
export type Decision =
  | { readonly verdict: 'allow'; readonly rule: NetworkRule }
  | { readonly verdict: 'deny'; readonly rule: NetworkRule | undefined; readonly reason: DenyReason };

export type DenyReason =
  /** no rule names this host */
  | 'host-not-allowed'
  /** a rule names this host, but not this port */
  | 'port-not-allowed'
  /** a rule names host and port, but not this method and path */
  | 'function-not-allowed'
  /** the function is allowed for other contents: other references of a push, other tools of an MCP server */
  | 'content-not-allowed';
