import { setTimeout as sleep } from 'node:timers/promises';

import { toCasemateError } from '../base/errors.ts';
import type { SandboxContext } from '../sandbox/context.ts';
import { clientLives, type Execution } from '../sandbox/commands/executions.ts';
import { parsePlan } from '../sandbox/plan/plan.ts';
import type { Sandboxes } from '../sandbox/sandboxes.ts';
import type { SandboxRow } from '../sandbox/stored/store.ts';

/** Everything that happens by itself: time limits, idle sandboxes, callers that died, failed ends that are tried again. */
export interface Timers {
  /** Whether a time limit ended it. Asked once, when its caller closes it. */
  readonly endedByTime: (executionId: string) => boolean;
  /** Its caller's connection has ended without a word. Never rejects. */
  readonly clientLost: (executionId: string) => Promise<void>;
  /** Looks at everything once; what an earlier look is still busy with is left alone. Never rejects. */
  readonly tick: () => Promise<void>;
}

export interface TimerParts {
  readonly context: SandboxContext;
  readonly sandboxes: Sandboxes;
  readonly log: (text: string) => void;
  readonly pause?: ((ms: number) => Promise<unknown>) | undefined;
}

const actor = 'daemon';
/** how often callers without a connection are looked for: those of commands that an earlier daemon began, for example */
const callersEveryMs = 5000;
/** what could not be ended is tried again after this long, then after twice as long, and so on */
const firstRetryMs = 5000;
const greatestRetryMs = 300_000;
/** how long a command may take to appear whose caller died as soon as it had started it */
const beginningRounds = 20;
const beginningPauseMs = 100;

interface Watch extends TimerParts {
  /** executions that a time limit ended and whose callers do not know it yet */
  readonly timedOut: Set<string>;
  /** Does one piece of work of a name at a time; logs its fault. */
  readonly once: (name: string, work: () => Promise<unknown>) => Promise<void>;
}

export function createTimers(parts: TimerParts): Timers {
  const { context, sandboxes } = parts;
  const watch: Watch = { ...parts, timedOut: new Set(), once: createOnce(parts.log) };
  const { once, timedOut } = watch;
  const checkLimits = limitCheck(watch);
  const checkRow = rowCheck(watch);
  const retry = retries(watch);
  const look = callerCheck(watch);
  let callersAtMs = context.clock.monotonicMs() + callersEveryMs;
  return {
    endedByTime: (executionId) => timedOut.delete(executionId),
    async clientLost(executionId) {
      timedOut.delete(executionId);
      await once(executionId, async () => await endLost(watch, executionId));
    },
    async tick() {
      let rows: readonly SandboxRow[] = [];
      await once('state', async () => {
        rows = sandboxes.list();
      });
      if (sandboxes.room.waiting() > 0) {
        await once('room', async () => await sandboxes.room.refresh());
      }
      const work = [
        checkLimits(),
        ...rows.map(async (row) => await once(row.id, async () => await (row.state === 'running' ? checkRow(row) : retry(row)))),
        ...rows
          .filter(({ caller }) => caller !== undefined)
          .map(async (row) => await once(`${row.id} caller`, async () => await look(row))),
      ];
      if (context.clock.monotonicMs() >= callersAtMs) {
        callersAtMs = context.clock.monotonicMs() + callersEveryMs;
        work.push(once('callers', async () => await checkCallers(watch, rows)));
        work.push(once('living', async () => await checkLiving(watch, rows)));
      }
      await Promise.all(work);
    },
  };
}

function createOnce(log: (text: string) => void): Watch['once'] {
  const under = new Set<string>();
  return async (name, work) => {
    if (under.has(name)) {
      return;
    }
    under.add(name);
    try {
      await work();
    } catch (thrown) {
      const { code, message } = toCasemateError(thrown);
      log(`timer: ${code}: ${message}`);
    } finally {
      under.delete(name);
    }
  };
}

/** Time limits of single commands. Measured with the clock that cannot jump, from when this daemon first saw them. */
function limitCheck({ context, sandboxes, timedOut, once }: Watch): () => Promise<void> {
  const deadlines = new Map<string, number>();
  return async () => {
    const nowMs = context.clock.nowMs();
    const monotonicMs = context.clock.monotonicMs();
    const open = sandboxes.executions.all();
    for (const id of deadlines.keys()) {
      if (sandboxes.executions.find(id) === undefined) {
        deadlines.delete(id);
      }
    }
    for (const { id, deadlineMs } of open) {
      if (deadlineMs !== undefined && !deadlines.has(id)) {
        deadlines.set(id, monotonicMs + Math.max(0, deadlineMs - nowMs));
      }
    }
    const late = open.filter((execution) => !execution.timedOut && monotonicMs >= (deadlines.get(execution.id) ?? Infinity));
    await Promise.all(
      late.map(async (execution) => {
        execution.timedOut = true;
        timedOut.add(execution.id);
        await once(`${execution.id} limit`, async () => await sandboxes.executions.kill(execution));
      }),
    );
  };
}

/** Time limit and idleness of a sandbox that runs. Asked again when its turn has come: until then much can happen. */
function rowCheck({ context, sandboxes, timedOut }: Watch): (row: SandboxRow) => Promise<void> {
  /** by sandbox; counted anew with each of its starts */
  const idleSince = new Map<string, { readonly ms: number; readonly startedMs: number | undefined }>();
  /** by sandbox: since when it was unused when its caller was told */
  const warned = new Map<string, number>();
  const end = async (row: SandboxRow, reason: string, when: (row: SandboxRow) => boolean): Promise<void> => {
    const options = { actor, callerEnv: context.env, reason, when };
    await (row.ephemeral ? sandboxes.destroy(row.id, options) : sandboxes.stop(row.id, options));
  };
  const isExpired = (row: SandboxRow): boolean =>
    row.state === 'running' && row.expiresMs !== undefined && context.clock.nowMs() >= row.expiresMs;
  const isUnused = (row: SandboxRow): boolean => row.state === 'running' && sandboxes.executions.of(row.id).length === 0;
  return async (row) => {
    if (isExpired(row)) {
      for (const execution of sandboxes.executions.of(row.id)) {
        execution.timedOut = true;
        timedOut.add(execution.id);
      }
      await end(row, 'expired', isExpired);
      return;
    }
    const { idleMs } = parsePlan(row.plan).limits;
    if (idleMs === undefined || !isUnused(row)) {
      idleSince.delete(row.id);
      return;
    }
    const nowMs = context.clock.monotonicMs();
    // A command that began and ended between two looks is one, too.
    const known = idleSince.get(row.id);
    const seenMs = known !== undefined && known.startedMs === row.startedMs ? known.ms : nowMs;
    const since = Math.max(seenMs, sandboxes.executions.lastEndMs(row.id) ?? 0);
    idleSince.set(row.id, { ms: since, startedMs: row.startedMs });
    const leftMs = since + idleMs - nowMs;
    if (leftMs <= 0) {
      idleSince.delete(row.id);
      await end(row, 'idle', isUnused);
    } else if (leftMs <= Math.min(idleWarnMs, idleMs / 2) && row.caller !== undefined && warned.get(row.id) !== since) {
      warned.set(row.id, since);
      await announceEnd(context, row, { outcome: 'idle-soon', leftMs });
    }
  };
}

/** a caller is told this long before its sandbox is stopped for good */
const warnMs = 5 * 60_000;
/** and this long before it is stopped because nobody uses it, or half of that time where it is short */
const idleWarnMs = 60_000;
/** how long what a sandbox printed can still be read after that */
const keptMs = 60 * 60_000;

interface Ending {
  readonly outcome: 'soon' | 'idle-soon';
  readonly leftMs: number;
}

/** A record that whoever follows the events of a session sees. */
async function announceEnd({ journal }: SandboxContext, row: SandboxRow, { outcome, leftMs }: Ending): Promise<void> {
  await journal.append({
    sandbox: row.id,
    actor,
    action: 'sandbox.expiring',
    subject: row.name,
    decision: 'none',
    outcome,
    policy: parsePlan(row.plan).policy.hash,
    detail: { secondsLeft: Math.round(leftMs / 1000) },
  });
}

/** Sandboxes of callers: a record before their time is over, and their removal some time after it, for nobody else may come. */
function callerCheck({ context, sandboxes }: Watch): (row: SandboxRow) => Promise<void> {
  const warned = new Set<string>();
  return async (row) => {
    const { limits } = parsePlan(row.plan);
    const endMs = row.createdMs + (limits.timeMs ?? Infinity);
    const nowMs = context.clock.nowMs();
    if (row.state === 'running' && nowMs >= endMs - warnMs && nowMs < endMs && !warned.has(row.id)) {
      warned.add(row.id);
      await announceEnd(context, row, { outcome: 'soon', leftMs: endMs - nowMs });
    }
    const isOver = (now: SandboxRow): boolean => now.state === 'stopped' || now.state === 'created';
    if (isOver(row) && nowMs >= endMs + keptMs) {
      warned.delete(row.id);
      await sandboxes.destroy(row.id, { actor, callerEnv: context.env, reason: 'expired', when: isOver });
    }
  };
}

/** Ends that failed half-way: a full disk, a runtime that did not answer. */
function retries({ context, sandboxes }: Watch): (row: SandboxRow) => Promise<void> {
  const plans = new Map<string, { readonly atMs: number; readonly waitMs: number }>();
  return async (row) => {
    if (row.state !== 'stopping' && row.state !== 'removing') {
      plans.delete(row.id);
      return;
    }
    const nowMs = context.clock.monotonicMs();
    const { atMs, waitMs } = plans.get(row.id) ?? { atMs: nowMs + firstRetryMs, waitMs: firstRetryMs };
    const isDue = nowMs >= atMs;
    const next = Math.min(waitMs * 2, greatestRetryMs);
    plans.set(row.id, isDue ? { atMs: nowMs + next, waitMs: next } : { atMs, waitMs });
    if (isDue) {
      const options = { actor, callerEnv: context.env, reason: row.reason, when: (now: SandboxRow) => now.state === row.state };
      await (row.state === 'removing' || row.ephemeral ? sandboxes.destroy(row.id, options) : sandboxes.stop(row.id, options));
    }
  };
}

/** Commands and throw-away sandboxes of callers that are dead, though no connection told so. */
async function checkCallers(watch: Watch, rows: readonly SandboxRow[]): Promise<void> {
  const { context, sandboxes, once } = watch;
  for (const { id, client } of sandboxes.executions.all()) {
    // oxlint-disable-next-line no-await-in-loop -- few
    if (client !== undefined && !(await clientLives(client))) {
      // oxlint-disable-next-line no-await-in-loop -- as above
      await once(id, async () => await endLost(watch, id));
    }
  }
  for (const row of rows) {
    // oxlint-disable-next-line no-await-in-loop -- few
    if (row.ephemeral && row.client !== undefined && row.state !== 'removing' && !(await clientLives(row.client))) {
      const options = { actor, callerEnv: context.env, reason: 'client-lost' };
      // oxlint-disable-next-line no-await-in-loop -- as above
      await once(`${row.id} caller`, async () => await sandboxes.destroy(row.id, options));
    }
  }
}

/** Sandboxes whose first process is gone. */
async function checkLiving({ context, sandboxes, once }: Watch, rows: readonly SandboxRow[]): Promise<void> {
  const running = rows.filter(({ state, ephemeral }) => state === 'running' && !ephemeral);
  if (running.length === 0) {
    return;
  }
  const living = (await context.engine.list(context.store.ownerId))
    .filter(({ state }) => state === 'running')
    .map(({ id }) => id);
  for (const row of running.filter(({ id }) => !living.includes(id))) {
    // oxlint-disable-next-line no-await-in-loop -- rare
    await once(`${row.id} living`, async () => await sandboxes.settle(row.id));
  }
}

/** A throw-away sandbox goes as a whole; elsewhere the command is ended, even where it has only just been started. */
async function endLost({ context, sandboxes, pause = sleep }: Watch, executionId: string): Promise<void> {
  const execution: Execution | undefined = sandboxes.executions.find(executionId);
  if (execution === undefined) {
    return;
  }
  if (context.store.find(execution.sandbox)?.ephemeral !== true) {
    for (let round = 0; round < beginningRounds; round += 1) {
      // oxlint-disable-next-line no-await-in-loop -- waiting is the point
      if (await sandboxes.executions.abandon(execution)) {
        break;
      }
      // oxlint-disable-next-line no-await-in-loop -- as above
      await pause(beginningPauseMs);
    }
  }
  await sandboxes.close(executionId, { exitCode: undefined, reason: 'client-lost' });
}
