import { processesNaming } from '../system/processes-naming.ts';
import type { Invocation } from './engine.ts';

/**
 * Programs on this host that carry the streams of a command: the path of the file that will hold its number is among their
 * arguments from their start on, and among those of no other program.
 */
export async function carriersOf({ pidFile }: Pick<Invocation, 'pidFile'>): Promise<readonly number[]> {
  return processesNaming(pidFile);
}
