import type { AgentServer } from './mcp-servers.ts';
import type { AgentPrint } from './print.ts';
import type { HttpAllowance, Level } from '../policy/policy.ts';

/**
 * A coding agent as data: how it starts, what it reads, what it needs. A new agent is a new file with one of these, or a
 * description (`described/`).
 */
export interface Agent {
  readonly name: string;
  readonly title: string;
  /** the path of its program inside the image */
  readonly program: string;
  /** image recipe that has it */
  readonly recipe: string;
  /** Argument list for a session at a terminal, and for one prompt without one. */
  readonly start: (options: AgentStart) => readonly string[];
  /** One task without a person, for programs that drive it. */
  readonly print: AgentPrint;
  /** Variables that are set for it in every sandbox (no secret). */
  readonly env: (options: AgentSetup) => Readonly<Record<string, string>>;
  /** It finds servers of the Model Context Protocol among its `homeFiles`; absent: a task names a file of them, or it takes none. */
  readonly serversInHome?: true | undefined;
  /** Files written into the sandbox's home before its first start. */
  readonly homeFiles: (options: AgentSetup) => readonly HomeFile[];
  /** What of the user's own configuration may come along, by level. */
  readonly classification: Readonly<Record<Level, readonly ConfigEntry[]>>;
  /** credential it needs: by the name of its provider, or one that a policy defines; `undefined`: none */
  readonly provider: string | undefined;
  /** hosts it needs, each with the functions it needs there */
  readonly hosts: readonly AgentHost[];
  /** other ways to its model, by the name the policy uses, such as `bedrock` */
  readonly apis?: Readonly<Record<string, AgentApi>> | undefined;
}

export interface AgentApi {
  /** provider of the credential it needs there, and its name */
  readonly provider: string;
  readonly needs: readonly ('region' | 'project')[];
  /** `{region}` and `{project}` stand for what the policy says, in hosts and in paths */
  readonly hosts: readonly AgentHost[];
}

export interface AgentStart {
  readonly permissions: 'ask' | 'skip';
  /** one prompt, answered and ended; `undefined`: interactive */
  readonly prompt: string | undefined;
  /** what the user wrote after the agent's name, passed on */
  readonly args: readonly string[];
}

export interface AgentSetup {
  readonly permissions: 'ask' | 'skip';
  readonly telemetry: boolean;
  /** the phantom the agent finds where it looks for its key */
  readonly phantom: string | undefined;
  /** what it finds where it keeps its login; absent: it has none */
  readonly login?: AgentLogin | undefined;
  /** where it reaches its model; absent: at its maker's */
  readonly provider?: string | undefined;
  readonly region?: string | undefined;
  readonly project?: string | undefined;
  readonly models?: AgentModels | undefined;
  /** that it starts or reaches, by name, keys as phantoms; only for `serversInHome` */
  readonly servers?: Readonly<Record<string, AgentServer>> | undefined;
}

/** Which models it uses; what is absent it chooses itself. */
export interface AgentModels {
  readonly main?: string | undefined;
  /** for small and fast work */
  readonly small?: string | undefined;
}

/** Stand-ins of a login's tokens, and what of the account is no secret. */
export interface AgentLogin {
  readonly accessToken: string;
  readonly refreshToken: string;
  readonly idToken: string;
  /** milliseconds since 1970 */
  readonly expiresMs: number;
  readonly nowMs: number;
  readonly scopes: readonly string[];
  readonly plan: string | undefined;
  readonly accountId: string | undefined;
}

export interface HomeFile {
  /** relative to the home */
  readonly path: string;
  readonly content: string;
  readonly mode: number;
}

export interface ConfigEntry {
  /** relative to the user's home, e.g. `.claude/commands` */
  readonly path: string;
  readonly kind: 'file' | 'folder';
  /** settings are stripped of keys that hold secrets or start programs on the host */
  readonly filter: 'none' | 'settings';
}

export interface AgentHost {
  readonly host: string;
  readonly ports: readonly number[];
  readonly http: readonly HttpAllowance[] | undefined;
  readonly credential: boolean;
  /** only reached when the policy turns telemetry on */
  readonly telemetry: boolean;
}
