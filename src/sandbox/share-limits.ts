/** What all sandboxes together may take of this host: by the policy, and where it is silent by what the host has. */
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
