import type { Unmanaged } from '../../engines/engine.ts';
import { visible } from '../../base/text.ts';
import type { SandboxContext } from '../context.ts';
import type { Sandboxes } from '../sandboxes.ts';

/**
 * Records what was done to a sandbox behind our back; the sandbox's state follows. A sandbox that no longer is what was planned
 * is ended, even if that cannot be recorded.
 */
export async function followUnmanaged(context: SandboxContext, sandboxes: Sandboxes, change: Unmanaged): Promise<void> {
  const row = context.store.find(change.id);
  if (row === undefined || row.state === 'removing') {
    return;
  }
  const texts = Object.entries(change.detail).map(([name, value]) => [name, typeof value === 'string' ? visible(value) : value]);
  try {
    await context.journal.append({
      sandbox: row.id,
      actor: 'engine',
      action: 'sandbox.unmanaged',
      subject: row.name,
      decision: 'none',
      outcome: change.what,
      detail: { ...Object.fromEntries(texts), leaves: change.leaves },
    });
  } finally {
    if (change.leaves === 'another') {
      await sandboxes.stop(row.id, { actor: 'daemon', callerEnv: context.env, reason: 'unmanaged' });
    } else if (change.leaves === 'ended') {
      await sandboxes.settle(row.id);
    }
  }
}
