/** The types of `import { createSandbox } from 'casemate'`. The build copies them as `library.d.ts`. */

export interface SandboxOptions {
  /** absolute path of the folder to work in; it is /workspace inside */
  readonly project: string;
  /** absolute paths of further folders that `copyIn` and `copyOut` may read and write; the project always is one */
  readonly roots?: readonly string[] | undefined;
  readonly name?: string | undefined;
  /** `claude`, `codex`, one that a file of the host describes, or `none` (commands only); default `none` */
  readonly agent?: string | undefined;
  /** key of the agent's API for this sandbox alone; default: what the host has */
  readonly apiKey?: string | undefined;
  readonly readonly?: boolean | undefined;
  /** for example `2g`; not more than the policy gives */
  readonly memory?: string | undefined;
  /** fractions allowed; not more than the policy gives */
  readonly cpus?: number | undefined;
  /** the sandbox ends after this long; default one hour */
  readonly timeoutMs?: number | undefined;
  /** whose sandboxes these are; default `library` */
  readonly caller?: string | undefined;
  /** variables of this process in the place of `process.env`: `CASEMATE_HOME`, `HOME`, keys that a policy names */
  readonly env?: Readonly<Record<string, string | undefined>> | undefined;
}

export interface RunOptions {
  /** default `/workspace` */
  readonly cwd?: string | undefined;
  readonly env?: Readonly<Record<string, string>> | undefined;
  /** standard input */
  readonly input?: string | undefined;
  /** default ten minutes; the exit code is 124 then */
  readonly timeoutMs?: number | undefined;
  /** ends the command */
  readonly signal?: AbortSignal | undefined;
  /** is told the last line of output, once a second at most */
  readonly onProgress?: ((line: string) => void) | undefined;
}

export interface RunResult {
  readonly executionId: string;
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
  /** bytes left out of the middle of both */
  readonly omittedBytes: number;
  readonly timedOut: boolean;
  readonly durationMs: number;
}

export interface TaskOptions {
  /** tools it may use without asking, and no others (Claude Code) */
  readonly tools?: readonly string[] | undefined;
  readonly model?: string | undefined;
  readonly maxBudgetUsd?: number | undefined;
  /** default half an hour */
  readonly timeoutMs?: number | undefined;
  /** `conversationId` of an earlier task */
  readonly resume?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  /** is told what the agent says and does, a line at a time */
  readonly onProgress?: ((line: string) => void) | undefined;
}

export interface TaskResult {
  readonly result: string;
  readonly failed: boolean;
  readonly exitCode: number;
  readonly timedOut: boolean;
  readonly conversationId?: string | undefined;
  readonly costUsd?: number | undefined;
  readonly filesChanged: readonly { readonly path: string; readonly change: 'added' | 'changed' | 'removed' }[];
}

export interface CopyOptions {
  /** files that are there are replaced; default: that is an error */
  readonly overwrite?: boolean | undefined;
  /** default ten minutes */
  readonly timeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface CopyResult {
  readonly files: number;
  readonly bytes: number;
  /** the first 200; both ends computed the same hash */
  readonly entries: readonly { readonly path: string; readonly bytes: number; readonly sha256: string }[];
}

export interface Snapshot {
  readonly snapshotId: string;
  readonly label: string;
  readonly createdAt: string;
  /** on the disk of the host */
  readonly bytes: number;
}

export interface Sandbox {
  readonly id: string;
  readonly name: string;
  /** Arguments arrive as they are: no shell reads them. A non-zero exit code is a result, not an error. */
  readonly run: (command: readonly string[], options?: RunOptions) => Promise<RunResult>;
  /** One task for the agent of the sandbox, without a person. */
  readonly task: (prompt: string, options?: TaskOptions) => Promise<TaskResult>;
  /**
   * A file or folder of the host (absolute, in the project or in `roots`) into the sandbox, where relative paths start in
   * `/workspace`. Links, devices and pipes are refused.
   */
  readonly copyIn: (hostPath: string, insidePath: string, options?: CopyOptions) => Promise<CopyResult>;
  /** The other way; what programs of the host act on by themselves (`.git`, `.envrc`, ...) is not written. */
  readonly copyOut: (insidePath: string, hostPath: string, options?: CopyOptions) => Promise<CopyResult>;
  /** Keeps the home folder as it is; refused while a command runs. The project is no part of it: git is for that. */
  readonly snapshot: (label?: string) => Promise<Snapshot>;
  /** Puts the home folder back; what is in it now is lost. */
  readonly restore: (snapshotId: string) => Promise<Snapshot>;
  /** Removes the sandbox with its home and keys; the project is never touched. Once more is no fault. */
  readonly destroy: () => Promise<void>;
  /** `await using sandbox = ...` destroys it at the end of the block. */
  readonly [Symbol.asyncDispose]: () => Promise<void>;
}

/** Throws an error with `code` (docs/errors.md), `message` and `hint`. */
export declare function createSandbox(options: SandboxOptions): Promise<Sandbox>;
