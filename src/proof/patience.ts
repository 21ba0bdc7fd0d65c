import { availableParallelism, loadavg } from 'node:os';

/**
 * How many times longer than on a quiet machine something may take now: by the programs that wait for each processor
 * (getloadavg(3)). What has not come within a while has not come, and on a busy machine a while is longer.
 */
export function patience(): number {
  return Math.min(8, Math.max(1, (loadavg()[0] ?? 0) / availableParallelism()));
}
