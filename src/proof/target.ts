import type { Plan } from '../sandbox/plan/plan.ts';

/** What a command inside came to. */
export interface Inside {
  /** the command's own exit code */
  readonly code: number;
  readonly out: Buffer;
  readonly err: Buffer;
}

export interface InsideOptions {
  readonly timeoutMs?: number | undefined;
  readonly input?: string | undefined;
  /** Runs it at a terminal of this host that is made for it; the last line of its output then begins with this word. */
  readonly terminal?: string | undefined;
}

/** A running sandbox, as a probe meets it. */
export interface Target {
  readonly name: string;
  /** `undefined`: a sandbox of somebody else */
  readonly plan: Plan | undefined;
  /** Runs an argument list inside to its end. */
  readonly inside: (command: readonly string[], options?: InsideOptions) => Promise<Inside>;
  /** host ids of its processes, the first one first; empty where that cannot be told */
  readonly processes: () => Promise<readonly number[]>;
}
