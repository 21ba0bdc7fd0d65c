import { eventually } from './eventually.ts';
import type { Target } from './target.ts';

/**
 * The first process under root's Docker is nobody's, and an ordinary user may look at his own alone: so a command of the agent's
 * runs while he looks. Whoever may look at all of them just looks.
 */
export async function withVisibleCommand<T>(target: Target, look: () => Promise<T>, uid = process.getuid?.() ?? 0): Promise<T> {
  if (uid === 0 || target.plan?.engine !== 'docker') {
    return look();
  }
  const held = target.inside(['sleep', '5']);
  await eventually(async () => ((await target.processes()).length > 1 ? true : undefined));
  const [seen] = await Promise.all([look(), held]);
  return seen;
}
