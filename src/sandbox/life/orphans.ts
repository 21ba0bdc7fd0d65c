import { toCasemateError } from '../../base/errors.ts';
import type { SandboxContext } from '../context.ts';
import { clientLives } from '../commands/executions.ts';
import { parsePlan } from '../plan/plan.ts';
import type { Sandboxes } from '../sandboxes.ts';
import type { SandboxRow } from '../stored/store.ts';

/** Sandboxes that no one will come back for. They are listed first; only what was listed, and still qualifies, is removed. */
export interface Orphan {
  readonly id: string;
  /** the id again where no name is known */
  readonly name: string;
  /** `stray`: the engine has it and nobody knows of it; `client-lost`, `caller-gone`: the one it was for; `expired`: its time */
  readonly why: 'stray' | 'client-lost' | 'caller-gone' | 'expired';
}

export interface Reaped {
  readonly removed: readonly Orphan[];
  /** one line each */
  readonly faults: readonly string[];
}

/** Changes nothing. Throws where an engine does not answer. */
export async function listOrphans({ engine, store, clock }: SandboxContext): Promise<readonly Orphan[]> {
  const found = await engine.list(store.ownerId);
  // Read after the engine was asked: one that was made meanwhile is known by now, for it is written down first.
  const rows = store.list();
  const strays = found
    .filter(({ id }) => !rows.some((row) => row.id === id))
    .map(({ id }): Orphan => ({ id, name: id, why: 'stray' }));
  const reasons = await Promise.all(rows.map(async (row) => ({ row, why: await whyOrphan(row, clock.nowMs()) })));
  return [...strays, ...reasons.flatMap(({ row, why }) => (why === undefined ? [] : [{ id: row.id, name: row.name, why }]))];
}

async function whyOrphan(row: SandboxRow, nowMs: number): Promise<Orphan['why'] | undefined> {
  if (row.ephemeral) {
    return row.state !== 'creating' && !(await clientLives(row.client)) ? 'client-lost' : undefined;
  }
  if (row.caller === undefined || (row.state !== 'stopped' && row.state !== 'created')) {
    return undefined;
  }
  const { timeMs } = parsePlan(row.plan).limits;
  if (timeMs !== undefined && nowMs >= row.createdMs + timeMs) {
    return 'expired';
  }
  return row.reason === 'caller-revoked' || row.reason === 'caller-expired' ? 'caller-gone' : undefined;
}

export interface ReapOptions {
  /** of what a person was shown */
  readonly ids: readonly string[];
  readonly actor: string;
}

/** One that cannot be removed keeps no other. */
export async function reapOrphans(context: SandboxContext, sandboxes: Sandboxes, options: ReapOptions): Promise<Reaped> {
  const orphans = (await listOrphans(context)).filter(({ id }) => options.ids.includes(id));
  const ends = await Promise.allSettled(
    orphans.map(async (orphan) => {
      await (orphan.why === 'stray'
        ? removeStray(context, orphan, options)
        : removeKnown(sandboxes, orphan, { context, ...options }));
      return orphan;
    }),
  );
  return {
    removed: ends.flatMap((end) => (end.status === 'fulfilled' ? [end.value] : [])),
    faults: ends.flatMap((end, index) =>
      end.status === 'rejected' ? [`${orphans[index]?.name ?? ''}: ${toCasemateError(end.reason).message}`] : [],
    ),
  };
}

async function removeStray({ engine, journal }: SandboxContext, { id }: Orphan, { actor }: ReapOptions): Promise<void> {
  await engine.stop(id, { graceMs: 0 });
  await engine.remove(id);
  await journal.append({ actor, action: 'sandbox.reap', sandbox: id, subject: id, decision: 'none', outcome: 'stray' });
}

async function removeKnown(
  sandboxes: Sandboxes,
  { id }: Orphan,
  { context, actor }: ReapOptions & { readonly context: SandboxContext },
): Promise<void> {
  const isOne = ({ ephemeral, state }: SandboxRow): boolean => ephemeral || state === 'stopped' || state === 'created';
  await sandboxes.destroy(id, { actor, callerEnv: context.env, reason: 'reaped', when: isOne });
}
