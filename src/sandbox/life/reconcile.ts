import { setTimeout as sleep } from 'node:timers/promises';

import { CasemateError, toCasemateError } from '../../base/errors.ts';
import { removeSessionValues } from '../../credentials/sealed/session-values.ts';
import type { EngineSandbox } from '../../engines/engine.ts';
import { environmentOf } from '../../system/environment.ts';
import { bindPlanCredentials } from '../credentials/bind-credentials.ts';
import type { PlanCredentials } from '../credentials/plan-credentials.ts';
import type { SandboxContext } from '../context.ts';
import { clientLives, type Executions } from '../commands/executions.ts';
import { readAuthority } from '../host-files/folder.ts';
import { guardingOf } from '../project/guarding.ts';
import { localNames } from './local-names.ts';
import { destroySandbox, gatewaySandbox, lifeRecord, stopSandbox } from './lifecycle.ts';
import { commandsOnRecord, lastOfLife } from '../recorded/on-record.ts';
import { parsePlan, type Plan } from '../plan/plan.ts';
import { tidySnapshots } from '../host-files/snapshots.ts';
import type { SandboxRow, StoredExecution } from '../stored/store.ts';

/**
 * Restores order after a daemon died: the engine says what really runs, the state file says what should. Running sandboxes get
 * their gateway back; half-made ones and those that no one owns are removed. Nothing is started here.
 */
export interface Reconciled {
  readonly adopted: readonly string[];
  readonly stopped: readonly string[];
  readonly removed: readonly string[];
  /** one line each: what could not be taken back, stopped or removed, and why; the other sandboxes do not suffer for it */
  readonly faults: readonly string[];
}

interface Findings {
  readonly adopted: string[];
  readonly stopped: string[];
  readonly removed: string[];
  readonly faults: string[];
}

const actor = 'daemon';
/** Its caller died at the latest with the daemon before this one: what it was about to start is on its way by now. */
const abandonRounds = 4;
const abandonPauseMs = 50;

/** Throws what stops everything: an engine that does not answer, `STORE_FAILED`, `JOURNAL_UNWRITABLE`. */
export async function reconcile(context: SandboxContext, executions: Executions): Promise<Reconciled> {
  const result: Findings = { adopted: [], stopped: [], removed: [], faults: [] };
  await context.engine.tidy();
  await removeSessionValues(context.sealed, (sandbox) => context.store.find(sandbox) === undefined).catch((error: unknown) => {
    result.faults.push(`keys given for sandboxes that are gone: ${toCasemateError(error).message}`);
  });
  const found = new Map((await context.engine.list(context.store.ownerId)).map((entry) => [entry.id, entry.state]));
  const rows = context.store.list();
  const open = await openExecutions(context);
  for (const row of rows) {
    const facts = { found: found.get(row.id), executions: open.filter(({ sandbox }) => sandbox === row.id), known: executions };
    found.delete(row.id);
    // oxlint-disable-next-line no-await-in-loop -- one sandbox after the other, so that a fault is told of the right one
    await apart(result, row.name, async () => {
      await tidySnapshots(context, row);
      return await settleRow(context, row, { ...facts, faults: result.faults });
    });
  }
  for (const row of context.store.list().filter(({ parent }) => parent !== undefined)) {
    // oxlint-disable-next-line no-await-in-loop -- as above
    await apart(result, row.name, async () => await settleCompanion(context, row));
  }
  for (const id of found.keys()) {
    // oxlint-disable-next-line no-await-in-loop -- rare
    await apart(result, id, async () => await removeStray(context, id));
  }
  const ownerless = open.filter(({ sandbox }) => !rows.some((row) => row.id === sandbox));
  await loseExecutions({ found: undefined, executions: ownerless, known: executions });
  return result;
}

/** Those that the journal saw begin and not end; of the others nobody has been told. */
async function openExecutions({ store, journal }: SandboxContext): Promise<readonly StoredExecution[]> {
  const stored = store.openExecutions();
  const { begun, ended } = await commandsOnRecord(
    journal,
    stored.map(({ id }) => id),
  );
  const isOpen = ({ id }: StoredExecution): boolean => begun.has(id) && !ended.has(id);
  stored.filter((execution) => !isOpen(execution)).forEach(({ id }) => store.endExecution(id));
  return stored.filter(isOpen);
}

/** One bad sandbox must not keep the daemon from serving, and from removing, the others. */
async function apart(result: Findings, name: string, settle: () => Promise<keyof Reconciled | undefined>): Promise<void> {
  try {
    const kind = await settle();
    if (kind !== undefined) {
      result[kind].push(name);
    }
  } catch (thrown) {
    result.faults.push(`${name}: ${survivable(thrown).message}`);
  }
}

/** Rethrows what no other sandbox would be spared either. */
function survivable(thrown: unknown): CasemateError {
  const error = toCasemateError(thrown);
  if (error.code === 'JOURNAL_UNWRITABLE' || error.code === 'STORE_FAILED') {
    throw error;
  }
  return error;
}

interface RowFacts {
  /** what the engine has of it */
  readonly found: EngineSandbox['state'] | undefined;
  readonly executions: readonly StoredExecution[];
  readonly known: Executions;
}

async function settleRow(
  context: SandboxContext,
  row: SandboxRow,
  facts: RowFacts & { readonly faults: string[] },
): Promise<keyof Reconciled | undefined> {
  if (row.state === 'creating' || row.state === 'starting') {
    return await settleBegun(context, row, facts);
  }
  const owned = !row.ephemeral || (await clientLives(row.client));
  const runs = row.state === 'running' && facts.found === 'running';
  if (runs && owned && (await takeBack(context, row, facts.faults))) {
    await adoptExecutions(facts);
    return 'adopted';
  }
  await loseExecutions(facts);
  return owned && isAtRest(row) && facts.found === undefined ? undefined : await endRow(context, row, owned);
}

/** One of a server goes on only with the sandbox whose server it is. */
async function settleCompanion(context: SandboxContext, row: SandboxRow): Promise<'removed' | 'stopped' | undefined> {
  const of = row.parent === undefined ? undefined : context.store.find(row.parent);
  if (of === undefined) {
    await destroySandbox(context, row, { actor, reason: 'interrupted' });
    return 'removed';
  }
  if (of.state === 'running' || row.state !== 'running') {
    return undefined;
  }
  await stopSandbox(context, row, { actor, reason: 'interrupted' });
  return 'stopped';
}

async function endRow(context: SandboxContext, row: SandboxRow, owned: boolean): Promise<'removed' | 'stopped'> {
  if (row.ephemeral || row.state === 'removing') {
    await destroySandbox(context, row, { actor, reason: owned ? 'interrupted' : 'client-lost' });
    return 'removed';
  }
  await stopSandbox(context, row, { actor, reason: 'interrupted' });
  return 'stopped';
}

/**
 * Half-made. Where the journal knows nothing of the step that was cut off, it has had no effect that was told of, and is
 * taken back in silence.
 */
async function settleBegun(
  context: SandboxContext,
  row: SandboxRow,
  facts: RowFacts,
): Promise<'stopped' | 'removed' | undefined> {
  const { store, engine, journal } = context;
  const last = await lastOfLife(journal, row.id);
  await loseExecutions(facts);
  if (row.ephemeral && last !== undefined) {
    await destroySandbox(context, row, { actor, reason: (await clientLives(row.client)) ? 'interrupted' : 'client-lost' });
    return 'removed';
  }
  if (last === 'sandbox.start') {
    await stopSandbox(context, row, { actor, reason: 'interrupted' });
    return 'stopped';
  }
  await engine.stop(row.id, { graceMs: 0 });
  await engine.remove(row.id);
  const state = last === undefined ? 'gone' : last === 'sandbox.stop' ? 'stopped' : 'created';
  store.move(row.id, { state, reason: 'interrupted' });
  return last === undefined ? 'removed' : undefined;
}

/** A throw-away sandbox that was started once has nothing to wait for. */
function isAtRest({ state, ephemeral }: SandboxRow): boolean {
  return state === 'created' || (state === 'stopped' && !ephemeral);
}

/** `false`, with the reason among the faults, where the gateway cannot be had back: such a sandbox is ended. */
async function takeBack(context: SandboxContext, row: SandboxRow, faults: string[]): Promise<boolean> {
  try {
    await reattach(context, row);
    return true;
  } catch (thrown) {
    faults.push(`${row.name} is not taken back: ${survivable(thrown).message}`);
    return false;
  }
}

/** New listeners in the namespace that is still there; the credentials that can be read without the caller. */
async function reattach(context: SandboxContext, row: SandboxRow): Promise<void> {
  const plan = parsePlan(row.plan);
  const authority = await readAuthority(context, row.id);
  if (authority === undefined) {
    throw new CasemateError('ENGINE_FAILED', 'its certificate authority is gone');
  }
  const credentials = await rebind(context, row, plan);
  const guarding = await guardingOf(context, row, plan);
  const ingress = await context.engine.ingress(row.id, { tcp: plan.network.tcpPorts, udp: plan.network.udpPorts });
  try {
    await context.journal.append(lifeRecord(row, plan, { actor, action: 'sandbox.adopt', outcome: 'ok' }));
    context.gateway.attach(
      gatewaySandbox(row, plan, {
        credentials,
        authority,
        guarding,
        local: localNames(context, row, plan),
        answers: context.store.answers(row.id),
      }),
      ingress,
    );
  } catch (error) {
    await ingress.close();
    throw error;
  }
  context.held.set(row.id, credentials);
}

/** The caller's variables died with the daemon: what came from them is refused until the caller gives it again. */
async function rebind(context: SandboxContext, row: SandboxRow, plan: Plan): Promise<PlanCredentials> {
  return await bindPlanCredentials(context, {
    plan,
    sandboxId: row.id,
    parent: row.parent,
    callerEnv: environmentOf({}),
    withoutValues: true,
  });
}

async function adoptExecutions(facts: RowFacts): Promise<void> {
  for (const execution of facts.executions) {
    facts.known.adopt({ ...execution, timedOut: false });
    // oxlint-disable-next-line no-await-in-loop -- few
    if (execution.invocation === undefined || !(await clientLives(execution.client))) {
      // oxlint-disable-next-line no-await-in-loop -- few
      await endLost(facts, execution);
    }
  }
}

async function loseExecutions(facts: RowFacts): Promise<void> {
  for (const execution of facts.executions) {
    facts.known.adopt({ ...execution, timedOut: false });
    // oxlint-disable-next-line no-await-in-loop -- few
    await endLost(facts, execution);
  }
}

async function endLost({ found, known }: RowFacts, execution: StoredExecution): Promise<void> {
  const rounds = found === 'running' ? abandonRounds : 0;
  for (let round = 0; round < rounds; round += 1) {
    // oxlint-disable-next-line no-await-in-loop -- waiting is the point
    if (await known.abandon({ ...execution, timedOut: false })) {
      break;
    }
    // oxlint-disable-next-line no-await-in-loop -- as above
    await sleep(abandonPauseMs);
  }
  await known.close(execution.id, { exitCode: undefined, reason: 'client-lost' });
}

/** A container of ours that the state file does not know: made, and not yet written down, when the daemon died. */
async function removeStray(context: SandboxContext, id: string): Promise<'removed'> {
  await context.engine.stop(id, { graceMs: 0 });
  await context.engine.remove(id);
  await context.journal.append({ actor, action: 'sandbox.reap', sandbox: id, subject: id, decision: 'none', outcome: 'stray' });
  return 'removed';
}
