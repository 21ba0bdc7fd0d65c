import { toCasemateError } from '../base/errors.ts';
import { environmentOf } from '../system/environment.ts';
import { bindPlanCredentials, type PlanCredentials } from './bind-credentials.ts';
import type { SandboxContext } from './context.ts';
import { clientLives, type Executions } from './executions.ts';
import { readAuthority } from './folder.ts';
import { destroySandbox, gatewaySandbox, lifeRecord, stopSandbox } from './lifecycle.ts';
import { parsePlan, type Plan } from './plan.ts';
import type { SandboxRow, StoredExecution } from './store.ts';

/**
 * After a daemon died: the engine says what really runs, the state file says what should. Running sandboxes get their
 * gateway back, half-made ones are removed, and what nobody owns is removed. Nothing is started here.
 */
export interface Reconciled {
  readonly adopted: readonly string[];
  readonly stopped: readonly string[];
  readonly removed: readonly string[];
}

const actor = 'daemon';

export async function reconcile(context: SandboxContext, executions: Executions): Promise<Reconciled> {
  const result = { adopted: [] as string[], stopped: [] as string[], removed: [] as string[] };
  const found = new Map((await context.engine.list(context.store.ownerId)).map((entry) => [entry.id, entry.state]));
  const open = context.store.openExecutions();
  for (const row of context.store.list()) {
    const runs = found.get(row.id) === 'running';
    found.delete(row.id);
    // oxlint-disable-next-line no-await-in-loop -- one sandbox after the other, so that a fault is told of the right one
    const kind = await settleRow(context, row, { runs, executions: open.filter(({ sandbox }) => sandbox === row.id), known: executions });
    if (kind !== undefined) {
      result[kind].push(row.name);
    }
  }
  for (const id of found.keys()) {
    // oxlint-disable-next-line no-await-in-loop -- rare
    await removeStray(context, id);
    result.removed.push(id);
  }
  return result;
}

interface RowFacts {
  readonly runs: boolean;
  readonly executions: readonly StoredExecution[];
  readonly known: Executions;
}

async function settleRow(context: SandboxContext, row: SandboxRow, facts: RowFacts): Promise<keyof Reconciled | undefined> {
  const owned = !row.ephemeral || (await clientLives(row.client));
  if (row.state === 'running' && facts.runs && owned && (await takeBack(context, row))) {
    await adoptExecutions(facts);
    return 'adopted';
  }
  if (row.state === 'created' && owned) {
    return undefined;
  }
  await loseExecutions(facts);
  if (row.ephemeral || row.state === 'removing') {
    await destroySandbox(context, row, { actor, reason: owned ? 'interrupted' : 'client-lost' });
    return 'removed';
  }
  if (row.state === 'stopped') {
    return undefined;
  }
  await stopSandbox(context, row, { actor, reason: 'interrupted' });
  return 'stopped';
}

/** New listeners in the namespace that is still there; the credentials that can be read without the caller. */
async function takeBack(context: SandboxContext, row: SandboxRow): Promise<boolean> {
  const plan = parsePlan(row.plan);
  const authority = await readAuthority(context, row.id);
  if (authority === undefined) {
    return false;
  }
  const credentials = await rebind(context, row, plan);
  const ingress = await context.engine.ingress(row.id, { tcp: plan.network.tcpPorts, udp: plan.network.udpPorts });
  await context.journal.append(lifeRecord(row, plan, { actor, action: 'sandbox.adopt', outcome: 'ok' }));
  context.gateway.attach(gatewaySandbox(row, plan, { credentials, authority }), ingress);
  context.held.set(row.id, credentials);
  return true;
}

/** The caller's variables died with the daemon: what came from them is refused until the caller gives it again. */
async function rebind(context: SandboxContext, row: SandboxRow, plan: Plan): Promise<PlanCredentials> {
  const facts = { plan, sandboxId: row.id, callerEnv: environmentOf({}) };
  try {
    return await bindPlanCredentials(context, facts);
  } catch (error) {
    if (toCasemateError(error).code !== 'CREDENTIAL_UNAVAILABLE') {
      throw error;
    }
    return await bindPlanCredentials(context, { ...facts, withoutValues: true });
  }
}

async function adoptExecutions(facts: RowFacts): Promise<void> {
  for (const execution of facts.executions) {
    facts.known.adopt({ ...execution, timedOut: false });
    // oxlint-disable-next-line no-await-in-loop -- few
    if (!(await clientLives(execution.client))) {
      // oxlint-disable-next-line no-await-in-loop -- few
      await endLost(facts.known, execution);
    }
  }
}

async function loseExecutions(facts: RowFacts): Promise<void> {
  for (const execution of facts.executions) {
    facts.known.adopt({ ...execution, timedOut: false });
    // oxlint-disable-next-line no-await-in-loop -- few
    await endLost(facts.known, execution);
  }
}

async function endLost(known: Executions, execution: StoredExecution): Promise<void> {
  await known.kill({ ...execution, timedOut: false });
  await known.close(execution.id, { exitCode: undefined, reason: 'client-lost' });
}

/** A container of ours that the state file does not know: made, and not yet written down, when the daemon died. */
async function removeStray(context: SandboxContext, id: string): Promise<void> {
  await context.engine.stop(id, { graceMs: 0 });
  await context.engine.remove(id);
  await context.journal.append({ actor, action: 'sandbox.reap', sandbox: id, subject: id, decision: 'none', outcome: 'stray' });
}
