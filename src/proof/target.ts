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

/** What `inspect` tells of the processes of a sandbox. */
export interface SeenProcesses {
  /** host ids of what runs inside, the first process first */
  readonly processes: readonly number[];
  /** links of the first one's namespaces, where the engine tells what an ordinary user may not look at; of others empty */
  readonly namespaces: Readonly<Record<string, string>>;
}
