/** The limits of one sandbox. */
export interface EngineLimits {
  readonly memoryBytes: number;
  readonly cpus: number;
  readonly pids: number;
  readonly diskBytes: number;
  readonly fileBytes: number;
  readonly openFiles: number;
}
