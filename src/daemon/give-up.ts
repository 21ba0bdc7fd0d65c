import type { ChildProcess } from 'node:child_process';

import { endNow } from '../system/process.ts';

/** how long after its time limit a command may take to end */
const graceMs = 3000;

/**
 * The daemon ends a command in time, but not what left its session on purpose: that may hold the output open for ever, and what
 * carries the command waits for it. Answers what takes the clock away; `timeoutMs`: time limit of the command, if it has one.
 */
export function giveUpAfter(child: ChildProcess, timeoutMs: number | undefined): () => void {
  const timer = timeoutMs === undefined ? undefined : setTimeout(() => endNow(child), timeoutMs + graceMs);
  return () => clearTimeout(timer);
}
