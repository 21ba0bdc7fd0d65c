import { agentId } from '../../engines/oci/ids.ts';
import type { Plan } from '../../sandbox/plan.ts';
import { giveTree } from '../../system/give-tree.ts';

/**
 * Engines that map no ids run nothing on a folder of root's: where root proves, what a sandbox works on gets an owner that is
 * an ordinary one. With the others, and for an ordinary user, it stays the caller's.
 */
export async function giveToAgent(folder: string, { engine }: Pick<Plan, 'engine'>): Promise<void> {
  if (engine !== 'oci' && process.geteuid?.() === 0) {
    await giveTree(folder, { uid: agentId, gid: agentId }, 0);
  }
}
