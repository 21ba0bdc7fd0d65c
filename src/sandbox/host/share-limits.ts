/** What all sandboxes together may use of this host: as the policy says, and otherwise derived from what the host has. */
export interface HostShare {
  readonly ready: number;
  readonly running: number;
  readonly memoryBytes: number;
  /** `undefined`: no bound */
  readonly cpus: number | undefined;
  readonly pids: number;
  readonly callers: number;
  readonly eachCaller: number;
}
