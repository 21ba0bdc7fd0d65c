import type { Target, Task } from './gateway-client.ts';

/** One way from the caller to the upstream. */
export interface Way {
  readonly name: string;
  readonly target: Target;
  /** whose processor time counts */
  readonly pid?: number | undefined;
  /** speaks HTTP/2 with callers */
  readonly speaksHttp2: boolean;
}

export type Measured = { readonly samples: readonly number[]; readonly processorMs: number };

export type Call = (way: Way, task: Omit<Task, 'target'>) => Promise<Measured>;
