import type { Origin } from './origin.ts';

/** What all sandboxes of one user together may use of the host, as written. A project has no say in it. */
export interface Share {
  /** containers that wait for sandboxes to come */
  readonly ready: number;
  /** sandboxes that run at once; `undefined`: by what the host has, as with the three after it */
  readonly running: number | undefined;
  readonly memoryBytes: number | undefined;
  readonly cpus: number | undefined;
  readonly pids: number | undefined;
  /** sandboxes that callers have, running or not, all of them together and each of them */
  readonly callers: number;
  readonly eachCaller: number;
  /** by the key as written, e.g. `share.memory` */
  readonly origins: Readonly<Record<string, Origin>>;
}
