import { availableParallelism, loadavg } from 'node:os';

/**
 * How many times longer than on a quiet machine something may take now, from the number of programs that wait for each processor
 * (getloadavg(3)). What is not there within a while is taken as absent, and on a busy machine a while is longer.
 */
export function patience(): number {
  return Math.min(8, Math.max(1, (loadavg()[0] ?? 0) / availableParallelism()));
}
