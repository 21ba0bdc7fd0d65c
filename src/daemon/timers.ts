import type { SandboxContext } from '../sandbox/context.ts';
import { parsePlan } from '../sandbox/plan.ts';
import type { Sandboxes } from '../sandbox/sandboxes.ts';
import type { SandboxRow } from '../sandbox/store.ts';

/** Everything that happens by itself: time limits, idle sandboxes, callers that died. One tick a second. */
export interface Timers {
  /** Ends this execution after so long; its caller then reports 124. */
  readonly limit: (executionId: string, timeoutMs: number) => void;
  /** Whether a time limit ended it. Asked once, when its caller closes it. */
  readonly endedByTime: (executionId: string) => boolean;
  /** Its caller's connection has ended without a word. */
  readonly clientLost: (executionId: string) => Promise<void>;
  readonly tick: () => Promise<void>;
}

export interface TimerParts {
  readonly context: SandboxContext;
  readonly sandboxes: Sandboxes;
  readonly log: (text: string) => void;
}

const actor = 'daemon';

export function createTimers({ context, sandboxes, log }: TimerParts): Timers {
  const deadlines = new Map<string, number>();
  const timedOut = new Set<string>();
  const idleSince = new Map<string, number>();
  const options = { actor, callerEnv: context.env };

  const endByTime = async (executionId: string): Promise<void> => {
    const execution = sandboxes.executions.find(executionId);
    deadlines.delete(executionId);
    if (execution !== undefined) {
      execution.timedOut = true;
      timedOut.add(executionId);
      await sandboxes.executions.kill(execution);
    }
  };

  const expire = async (row: SandboxRow): Promise<void> => {
    for (const execution of sandboxes.executions.of(row.id)) {
      execution.timedOut = true;
      timedOut.add(execution.id);
    }
    await (row.ephemeral ? sandboxes.destroy(row.id, { ...options, reason: 'expired' }) : sandboxes.stop(row.id, { ...options, reason: 'expired' }));
  };

  const checkRow = async (row: SandboxRow, nowMs: number): Promise<void> => {
    if (row.expiresMs !== undefined && nowMs >= row.expiresMs) {
      await expire(row);
      return;
    }
    const { idleMs } = parsePlan(row.plan).limits;
    if (idleMs === undefined || sandboxes.executions.of(row.id).length > 0) {
      idleSince.delete(row.id);
      return;
    }
    const since = idleSince.get(row.id) ?? nowMs;
    idleSince.set(row.id, since);
    if (nowMs - since >= idleMs) {
      idleSince.delete(row.id);
      await sandboxes.stop(row.id, { ...options, reason: 'idle' });
    }
  };

  return {
    limit: (executionId, timeoutMs) => void deadlines.set(executionId, context.clock.monotonicMs() + timeoutMs),
    endedByTime: (executionId) => timedOut.delete(executionId),
    async clientLost(executionId) {
      const execution = sandboxes.executions.find(executionId);
      if (execution !== undefined) {
        await sandboxes.executions.kill(execution);
        await sandboxes.close(executionId, { exitCode: undefined, reason: 'client-lost' });
      }
    },
    async tick() {
      const monotonicMs = context.clock.monotonicMs();
      const late = [...deadlines].filter(([, deadline]) => monotonicMs >= deadline).map(([id]) => id);
      const rows = sandboxes.list().filter((row) => row.state === 'running');
      const nowMs = context.clock.nowMs();
      const work = [...late.map(endByTime), ...rows.map((row) => checkRow(row, nowMs))];
      for (const outcome of await Promise.allSettled(work)) {
        if (outcome.status === 'rejected') {
          log(`timer: ${String(outcome.reason)}`);
        }
      }
    },
  };
}
