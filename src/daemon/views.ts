import type { SandboxContext } from '../sandbox/context.ts';
import { parsePlan } from '../sandbox/plan.ts';
import type { SandboxRow } from '../sandbox/store.ts';
import type { SandboxView } from './protocol.ts';

/** A sandbox as callers see it. */
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
    planHash: row.planHash,
    policyHash: plan.policy.hash,
    waived: plan.waive,
    alarms: context.guards.ledger.alarms(row.id),
  };
}

export function timeText(ms: number): string {
  return new Date(ms).toISOString();
}
