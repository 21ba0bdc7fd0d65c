import { actorOf, type SandboxContext } from '../sandbox/context.ts';
import { listOrphans, reapOrphans } from '../sandbox/life/orphans.ts';
import type { Sandboxes } from '../sandbox/sandboxes.ts';
import { createCallerTokenCalls } from './caller-token-calls.ts';
import type { Calling } from './server.ts';
import { createTokenEnds } from './token-ends.ts';

/** The operator's calls about callers, and about what they and others left behind. */
export function createLeftBehindCalls(
  context: SandboxContext,
  sandboxes: Sandboxes,
): ReturnType<typeof createCallerTokenCalls> & Pick<Calling, 'reap-list' | 'reap'> {
  const actor = actorOf(context.uid);
  return {
    ...createCallerTokenCalls(context, createTokenEnds({ context, sandboxes, actor }).revoked),
    'reap-list': () => listOrphans(context),
    reap: ({ ids }) => reapOrphans(context, sandboxes, { ids, actor }),
  };
}
