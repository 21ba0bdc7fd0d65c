import { callerActor } from './caller-protocol.ts';
import type { SandboxContext } from '../sandbox/context.ts';
import type { Sandboxes } from '../sandbox/sandboxes.ts';
import type { SandboxRow } from '../sandbox/stored/store.ts';

/**
 * Ends what a token that has expired or was revoked has running: the sandboxes in which its caller may have something are
 * stopped. They are kept, for another token of that name or for the person.
 */
export interface TokenEnds {
  /** Of one that was revoked. Returns the names of what was stopped. */
  readonly revoked: (name: string) => Promise<readonly string[]>;
  /** Those whose tokens have expired since their start. */
  readonly expired: () => Promise<readonly string[]>;
}

export interface TokenEndParts {
  readonly context: SandboxContext;
  readonly sandboxes: Sandboxes;
  /** in whose name it is done, for the journal */
  readonly actor: string;
}

export function createTokenEnds({ context, sandboxes, actor }: TokenEndParts): TokenEnds {
  const { store, clock, env } = context;
  const used = (row: SandboxRow, name: string): boolean =>
    row.caller === name || sandboxes.executions.of(row.id).some((execution) => execution.actor === callerActor(name));
  const stop = async (rows: readonly SandboxRow[], reason: string): Promise<readonly string[]> => {
    // One that is just starting is waited for: it must not be left running by that.
    const when = ({ state }: SandboxRow): boolean => state === 'running';
    const options = { actor, callerEnv: env, reason, when };
    // What fails is tried again by the timers, and keeps no other from being stopped.
    const ends = await Promise.allSettled(rows.map(async ({ id }) => await sandboxes.stop(id, options)));
    return ends.flatMap((end, index) =>
      end.status === 'fulfilled' && end.value.reason === reason && rows[index]?.state !== 'stopped' ? [end.value.name] : [],
    );
  };
  return {
    revoked: async (name) =>
      await stop(
        sandboxes.list().filter((row) => used(row, name)),
        'caller-revoked',
      ),
    async expired() {
      const running = sandboxes.list().filter(({ caller, state }) => caller !== undefined && state === 'running');
      const nowMs = clock.nowMs();
      const over = running.length === 0 ? [] : store.callers.list().filter(({ expiresMs = Infinity }) => nowMs >= expiresMs);
      const isOver = (row: SandboxRow): boolean =>
        over.some(({ name, expiresMs = Infinity }) => used(row, name) && (row.startedMs ?? Infinity) < expiresMs);
      return await stop(running.filter(isOver), 'caller-expired');
    },
  };
}
