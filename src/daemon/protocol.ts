import { join } from 'node:path';

import type { CallerAddCall, CallerClaim, CallerView } from './caller-view.ts';
import type { PlannedEngine } from '../base/engine-names.ts';
import type { Invocation, TerminalSize } from '../engines/engine.ts';
import type { EngineChoice } from '../engines/engine-choice.ts';
import type { Approved, RequestView } from '../sandbox/requests/approvals.ts';
import type { Accompanied, Serving } from '../sandbox/life/companions.ts';
import type { SnapshotCalls } from './snapshot-protocol.ts';
import type { CredentialChange, RemovalList, RevokeAnswer } from '../sandbox/credential-calls/credentials.ts';
import type { CredentialView } from '../sandbox/credential-calls/list-credentials.ts';
import type { Attestation } from '../journal/attest.ts';
import type { OutsideView } from '../proof/seen-from-outside.ts';
import type { SeenProcesses } from '../proof/target.ts';
import type { Outcome, Statement } from '../proof/statement.ts';
import type { BudgetState } from '../gateway/guards/budgets.ts';
import type { Explanation } from '../policy/proposing/explain.ts';
import type { ShareUse } from '../sandbox/host/host-share.ts';
import type { Orphan, Reaped } from '../sandbox/life/orphans.ts';
import type { Plan } from '../sandbox/plan/plan.ts';
import type { MakeRequest } from '../sandbox/making/prepare.ts';
import type { Queued } from '../sandbox/host/room.ts';
import type { TestAnswer } from '../sandbox/credential-calls/test-credential.ts';
import type { Paths } from '../system/paths.ts';
import type { ProcessIdentity } from '../system/process-identity.ts';
import type { NewRepositories } from '../workspace/new-repositories.ts';

/**
 * The protocol between the command line and the daemon: one JSON object a line over a Unix socket that only its owner can open.
 * A call is answered by exactly one `result` or `error`; in between the daemon may report progress or ask a question.
 */
export type FromClient =
  | { readonly type: 'call'; readonly id: number; readonly method: string; readonly params?: unknown }
  | { readonly type: 'answer'; readonly id: number; readonly value: unknown }
  /** From now on this connection acts for that caller, and can no more than it may. Cannot be taken back. */
  | { readonly type: 'caller'; readonly caller: CallerClaim };

export type FromDaemon =
  // `state`: its state folder; two homes of one user may lead to one socket
  | { readonly type: 'hello'; readonly version: string; readonly build: string; readonly pid: number; readonly state?: string }
  | { readonly type: 'progress'; readonly id: number; readonly text: string }
  | { readonly type: 'ask'; readonly id: number; readonly question: Question }
  | { readonly type: 'result'; readonly id: number; readonly value: unknown }
  | { readonly type: 'error'; readonly id: number; readonly error: WireError };

export interface WireError {
  readonly code: string;
  readonly message: string;
  readonly hint: string | undefined;
}

/** What only the caller knows or may decide. */
export type Question =
  /** values of these variables of the caller's own environment; answer: `Record<string, string>` */
  | { readonly kind: 'environment'; readonly names: readonly string[] }
  /** does a person agree to what the project's policy asks for? answer: boolean */
  | { readonly kind: 'trust'; readonly path: string; readonly grants: readonly string[] };

export interface Calls extends SnapshotCalls {
  readonly plan: { params: MakeRequest; result: PlanAnswer };
  readonly create: { params: MakeCall; result: SandboxView };
  readonly start: { params: StartCall; result: SandboxView };
  readonly stop: { params: NameCall; result: SandboxView };
  readonly restart: { params: NameCall; result: SandboxView };
  readonly 'destroy-list': { params: NameCall; result: DestroyAnswer };
  readonly destroy: { params: NameCall; result: DestroyAnswer };
  readonly run: { params: RunCall; result: OpenAnswer };
  readonly exec: { params: ExecCall; result: OpenAnswer };
  /** The caller of an execution is back after the daemon died; it gives its variables again. */
  readonly resume: { params: { readonly executionId: string }; result: { readonly known: boolean } };
  readonly close: { params: CloseCall; result: CloseAnswer };
  readonly ls: { params: Record<string, never>; result: readonly SandboxView[] };
  readonly inspect: { params: NameCall; result: InspectAnswer };
  /** host process ids inside */
  readonly processes: { params: NameCall; result: { readonly pids: readonly number[] } };
  readonly stats: { params: NameCall; result: StatsAnswer };
  readonly 'trust-list': { params: MakeRequest; result: TrustAnswer };
  readonly trust: { params: TrustCall; result: TrustAnswer };
  /** What was denied and may still be allowed. */
  readonly requests: { params: Record<string, never>; result: readonly RequestView[] };
  /** Says by progress, as JSON, what `requests` would answer, at once and at every change; ends with the caller. */
  readonly 'requests-follow': { params: Record<string, never>; result: Record<string, never> };
  readonly 'request-approve': { params: ApproveCall; result: Approved };
  readonly 'request-deny': { params: DenyCall; result: { readonly id: string } };
  readonly 'credential-list': { params: { readonly cwd: string }; result: readonly CredentialView[] };
  readonly 'credential-set': { params: CredentialSetCall; result: CredentialChange };
  /** Reads a source that is not sealed again, for the sandboxes that run. */
  readonly 'credential-reread': { params: CredentialCall; result: CredentialChange };
  readonly 'credential-revoke': { params: CredentialCall & SandboxChoice; result: RevokeAnswer };
  readonly 'credential-restore': {
    params: CredentialCall & SandboxChoice;
    result: { readonly name: string; readonly restored: boolean };
  };
  readonly 'credential-remove-list': { params: NameCall; result: RemovalList };
  readonly 'credential-remove': { params: NameCall; result: RemovalList };
  readonly 'credential-test': { params: CredentialTestCall; result: TestAnswer };
  readonly 'login-list': { params: Record<string, never>; result: readonly LoginShown[] };
  /** The address for the person's browser; `login-finish` takes the code that comes of it. */
  readonly 'login-begin': { params: LoginBeginCall; result: { readonly id: string; readonly url: string } };
  readonly 'login-finish': { params: { readonly id: string; readonly code: string }; result: LoginShown };
  /** `text`: what the agent's own client keeps on the host */
  readonly 'login-import': {
    params: { readonly agent: string; readonly text: string; readonly server?: string | undefined };
    result: LoginShown;
  };
  readonly 'login-remove': {
    params: { readonly agent: string };
    result: { readonly agent: string; readonly removed: boolean; readonly revoked: boolean };
  };
  /** Signs a proof and records it. */
  readonly 'prove-seal': { params: ProveSealCall; result: Sealed };
  /** What this sandbox was denied and a person may still allow. Reads only. */
  readonly 'session-requests': { params: NameCall; result: readonly RequestView[] };
  /** Asks that a person look at one of them; grants nothing. */
  readonly 'session-plead': {
    params: NameCall & { readonly id: string; readonly reason: string };
    result: Record<string, never>;
  };
  /** A transfer out to this path of the host was refused for a phantom in it: recorded, and counted among its alarms. */
  readonly 'session-alarm': { params: NameCall & { readonly path: string }; result: Record<string, never> };
  /** Which rule decides about a destination, with what was approved since the plan. */
  readonly 'session-explain': { params: ExplainCall; result: Explanation };
  readonly 'caller-add': { params: CallerAddCall; result: { readonly caller: CallerView; readonly token: string } };
  readonly 'caller-list': { params: Record<string, never>; result: readonly CallerView[] };
  /** What `reap` would remove. Changes nothing. */
  readonly 'reap-list': { params: Record<string, never>; result: readonly Orphan[] };
  readonly reap: { params: { readonly ids: readonly string[] }; result: Reaped };
  /** Its connections end, and the sandboxes that it used are stopped: those are named. */
  readonly 'caller-revoke': {
    params: NameCall;
    result: { readonly name: string; readonly revoked: boolean; readonly stopped: readonly string[] };
  };
  readonly 'caller-find': { params: TokenCall; result: { readonly claim?: CallerClaim } };
  readonly status: { params: Record<string, never>; result: StatusAnswer };
  readonly shutdown: { params: { readonly force: boolean }; result: { readonly stopped: readonly string[] } };
}

export type Method = keyof Calls;

/**
 * Calls that widen what a sandbox may do, or are about credentials. They are for the person at this socket alone: no face that serves an agent or a
 * caller of one (MCP, HTTP) may pass them on, however it is asked.
 */
export const operatorMethods = [
  'requests',
  'requests-follow',
  'request-approve',
  'request-deny',
  'trust',
  'credential-list',
  'credential-set',
  'credential-reread',
  'credential-revoke',
  'credential-restore',
  'credential-remove-list',
  'credential-remove',
  'credential-test',
  'login-list',
  'login-begin',
  'login-finish',
  'login-import',
  'login-remove',
  'prove-seal',
  'caller-add',
  'caller-list',
  'caller-revoke',
  'caller-find',
  'reap-list',
  'reap',
] as const satisfies readonly Method[];

/** A token, or its hash as a claim has it. */
export type TokenCall = { readonly token: string } | { readonly hash: string };

export interface ProveSealCall {
  /** of the sandbox that was attacked; else `request` says whose policy was */
  readonly name?: string | undefined;
  readonly request?: MakeRequest | undefined;
  readonly outcome: Outcome;
}

export interface Sealed {
  readonly statement: Statement;
  readonly attestation: Attestation;
}

export interface LoginBeginCall {
  readonly agent: string;
  /** origin of another authorization server than the maker's, e.g. `https://login.example.com` */
  readonly server?: string | undefined;
  readonly redirectUri?: string | undefined;
}

/** A login without its tokens. */
export interface LoginShown {
  readonly agent: string;
  readonly origin: 'browser' | 'import' | 'token';
  readonly plan?: string | undefined;
  readonly scopes: readonly string[];
  /** RFC 3339; the tokens are renewed before it */
  readonly validUntil?: string | undefined;
  /** why it has ended; `undefined`: it goes on */
  readonly stopped?: string | undefined;
}

export interface CredentialCall extends NameCall {
  /** absolute; whose policy files hold */
  readonly cwd: string;
}

export interface SandboxChoice {
  /** name of a sandbox; `undefined`: all that are and will be */
  readonly sandbox?: string | undefined;
}

export interface CredentialSetCall extends NameCall {
  readonly value: string;
  readonly provider?: string | undefined;
  readonly hosts?: readonly string[] | undefined;
}

export interface CredentialTestCall extends CredentialCall {
  readonly path?: string | undefined;
  readonly host?: string | undefined;
}

export interface ApproveCall {
  readonly id: string;
  readonly scope: 'once' | 'sandbox' | 'policy';
  /** as in a policy file; `all`: everything at that host and port; default: what was asked for */
  readonly functions?: readonly string[] | 'all' | undefined;
  /** policy file that the caller writes */
  readonly file?: string | undefined;
}

export interface DenyCall {
  readonly id: string;
  readonly scope: 'while' | 'sandbox';
}

export interface ExplainCall extends NameCall {
  readonly host: string;
  readonly port: number;
  readonly request?: { readonly method: string; readonly path: string } | undefined;
}

export interface NameCall {
  readonly name: string;
}

export type StartCall = NameCall & Queued;

export interface MakeCall extends MakeRequest, Queued {
  readonly name?: string | undefined;
  /** values for the credentials of `given`, by name; sealed for this sandbox alone */
  readonly keys?: Readonly<Record<string, string>> | undefined;
}

export interface RunCall extends MakeCall {
  /** `undefined`: the policy's agent */
  readonly command?: readonly string[] | undefined;
  readonly prompt?: string | undefined;
  readonly keep: boolean;
  readonly tty: boolean;
  readonly terminalSize?: TerminalSize | undefined;
  readonly client?: ProcessIdentity | undefined;
  readonly term?: string | undefined;
}

export interface ExecCall extends NameCall {
  readonly command: readonly string[];
  readonly cwd?: string | undefined;
  readonly env: Readonly<Record<string, string>>;
  readonly tty: boolean;
  readonly terminalSize?: TerminalSize | undefined;
  readonly timeoutMs?: number | undefined;
  readonly client?: ProcessIdentity | undefined;
}

export interface OpenAnswer {
  readonly sandbox: SandboxView;
  readonly executionId: string;
  readonly invocation: Invocation;
  /** where output without a terminal is kept for `logs` */
  readonly logFile: string;
}

export interface CloseCall {
  readonly executionId: string;
  readonly exitCode: number;
}

export interface CloseAnswer {
  readonly timedOut: boolean;
  /** in the workspace, made or given other settings while the sandbox ran */
  readonly repositories: NewRepositories;
}

export interface SandboxView extends Serving {
  readonly id: string;
  readonly name: string;
  readonly state: string;
  readonly reason: string;
  readonly level: string;
  readonly agent: string | undefined;
  readonly image: string;
  readonly workspace: string;
  readonly mode: string;
  readonly ephemeral: boolean;
  readonly createdAt: string;
  readonly startedAt: string | undefined;
  readonly expiresAt: string | undefined;
  readonly owner: string;
  /** whose it is, by name; absent: the person's at this host */
  readonly caller?: string | undefined;
  readonly planHash: string;
  readonly policyHash: string;
  readonly waived: readonly string[];
  /** how often something was seen that somebody has to look at: `casemate journal query --action alarm.` */
  readonly alarms: number;
}

export interface TrustCall extends MakeRequest {
  /** of the answer whose grants a person read: a file that has changed since is not approved */
  readonly hash: string;
}

/** `path` and `hash` are `undefined` where there is no project policy. */
export interface TrustAnswer {
  readonly path: string | undefined;
  readonly hash: string | undefined;
  readonly grants: readonly string[];
  readonly approved: boolean;
}

export interface PlanAnswer {
  readonly hash: string;
  readonly plan: Plan;
}

export interface DestroyAnswer {
  readonly name: string;
  readonly alreadyGone: boolean;
  readonly removed: readonly string[];
  readonly kept: readonly string[];
}

export interface InspectAnswer extends Accompanied, SeenProcesses {
  readonly sandbox: SandboxView;
  readonly plan: Plan;
  /** what this host sees of the running sandbox, by probe; empty when it does not run */
  readonly seen: readonly OutsideView[];
  readonly folder: string;
  readonly budgets: readonly BudgetState[];
  /** of agents, where the sandbox uses one */
  readonly logins: readonly LoginShown[];
  /** what the sandbox holds instead of credentials */
  readonly phantoms: readonly string[];
  readonly commands: readonly { readonly executionId: string; readonly command: string; readonly startedAt: string }[];
}

export interface StatsAnswer {
  readonly name: string;
  readonly state: string;
  readonly memoryBytes: number | undefined;
  readonly memoryPeakBytes: number | undefined;
  readonly memoryLimitBytes: number;
  readonly cpuMs: number | undefined;
  readonly pids: number | undefined;
  readonly pidsLimit: number;
  readonly budgets: readonly BudgetState[];
  readonly network:
    | {
        readonly open: number;
        readonly allowed: number;
        readonly denied: number;
        readonly bytesOut: number;
        readonly bytesIn: number;
      }
    | undefined;
}

export interface StatusAnswer extends ShareUse {
  readonly pid: number;
  readonly version: string;
  readonly uptimeMs: number;
  readonly memoryBytes: number;
  readonly running: number;
  readonly sandboxes: number;
  readonly socket: string;
  /** where the engines are that other programs serve, as this daemon uses them; one of another version may not say */
  readonly engines?: Readonly<Partial<Record<PlannedEngine, EngineChoice>>> | undefined;
}

/** A line longer than this ends the connection: nothing we say is that long. */
export const maxLineBytes = 4 * 1024 * 1024;

export function socketPath(paths: Paths): string {
  return join(paths.runtime, 'daemon.sock');
}
