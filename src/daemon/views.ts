import { companionsOf, serverOf, type Accompanied } from '../sandbox/life/companions.ts';
import type { SandboxContext } from '../sandbox/context.ts';
import { parsePlan } from '../sandbox/plan/plan.ts';
import type { SandboxRow } from '../sandbox/stored/store.ts';
import type { SandboxView } from './protocol.ts';

/** Sandboxes as callers see them; the sandboxes of one's servers are shown with it. */
export function companionViews({ store }: SandboxContext, { id }: SandboxRow): Accompanied['companions'] {
  return companionsOf(store, id).map((row) => ({
    server: serverOf(row) ?? '',
    id: row.id,
    name: row.name,
    state: row.state,
  }));
}

export function viewOf(context: SandboxContext, row: SandboxRow): SandboxView {
  const plan = parsePlan(row.plan);
  return {
    id: row.id,
    name: row.name,
    state: row.state,
    reason: row.reason,
    level: plan.level,
    agent: plan.agent?.name,
    image: plan.image.recipe,
    workspace: plan.workspace.path,
    mode: plan.workspace.mode,
    ephemeral: row.ephemeral,
    createdAt: timeText(row.createdMs),
    startedAt: row.startedMs === undefined ? undefined : timeText(row.startedMs),
    expiresAt: row.state !== 'running' || row.expiresMs === undefined ? undefined : timeText(row.expiresMs),
    owner: context.store.ownerId,
    ...(row.caller === undefined ? {} : { caller: row.caller }),
    ...(row.parent === undefined || plan.companion === undefined
      ? {}
      : { serves: { server: plan.companion.name, sandbox: context.store.find(row.parent)?.name ?? row.parent } }),
    planHash: row.planHash,
    policyHash: plan.policy.hash,
    waived: plan.waive,
    alarms: context.guards.ledger.alarms(row.id),
  };
}

export function timeText(ms: number): string {
  return new Date(ms).toISOString();
}
