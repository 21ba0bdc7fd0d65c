import { agentId } from '../../engines/oci/ids.ts';
import type { Plan } from '../../sandbox/plan/plan.ts';
import { giveTree } from '../../system/give-tree.ts';

/**
 * Engines that map no ids run nothing on a folder of root's: when root proves, the folder that a sandbox works on gets an
 * ordinary owner. With other engines, and for an ordinary user, it stays the caller's.
 */
export async function giveToAgent(folder: string, { engine }: Pick<Plan, 'engine'>): Promise<void> {
  if (engine !== 'oci' && process.geteuid?.() === 0) {
    await giveTree(folder, { uid: agentId, gid: agentId }, 0);
  }
}
