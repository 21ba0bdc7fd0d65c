import { eventually } from './eventually.ts';
import type { Target } from './target.ts';

/**
 * Under root's Docker the first process belongs to `nobody`, and an ordinary user may inspect only processes of their own. For
 * such a user a command of the agent's runs while they look.
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
