import { processesNaming } from '../system/processes-naming.ts';
import type { Invocation } from './engine.ts';

/**
 * The programs on this host that carry the streams of a command. From its start, a carrier has among its arguments the path of
 * the file that will hold the command's process id, and no other program does.
 */
export async function carriersOf({ pidFile }: Pick<Invocation, 'pidFile'>): Promise<readonly number[]> {
  return processesNaming(pidFile);
}
