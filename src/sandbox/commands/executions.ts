import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';

import { CasemateError, toCasemateError } from '../../base/errors.ts';
import { visible } from '../../base/text.ts';
import type { SandboxId } from '../../base/ids.ts';
import { carriersOf } from '../../engines/carriers.ts';
import type { Invocation, TerminalSize } from '../../engines/engine.ts';
import { sha256Of } from '../../policy/hash.ts';
import { isSameProcess, type ProcessIdentity } from '../../system/process-identity.ts';
import type { SandboxContext } from '../context.ts';
import { parsePlan } from '../plan/plan.ts';
import type { SandboxRow, StoredExecution } from '../stored/store.ts';

/**
 * Commands in sandboxes, recorded before they start and when they end. The caller starts the engine's invocation with its own
 * terminal; this keeps what is known of it, so that a caller that dies leaves nothing running without an owner.
 */
export interface Execution extends StoredExecution {
  /** set by the time limit before it kills: the caller then reports 124 */
  timedOut: boolean;
  /** how it ended, where that could not be recorded yet */
  readonly ended?: ExecutionOutcome | undefined;
}

export type OpenExecution = Execution & { readonly invocation: Invocation };

export interface ExecutionRequest {
  readonly command: readonly string[];
  readonly cwd?: string | undefined;
  readonly env?: Readonly<Record<string, string>> | undefined;
  readonly tty: boolean;
  readonly terminalSize?: TerminalSize | undefined;
  readonly timeoutMs?: number | undefined;
  readonly client: ProcessIdentity | undefined;
  readonly actor: string;
}

export interface Executions {
  readonly open: (row: SandboxRow, request: ExecutionRequest) => Promise<OpenExecution>;
  /** Records the end once; a second call for the same execution does nothing. What cannot be recorded stays open. */
  readonly close: (id: string, outcome: ExecutionOutcome) => Promise<Execution | undefined>;
  readonly find: (id: string) => Execution | undefined;
  readonly of: (sandbox: SandboxId) => readonly Execution[];
  readonly all: () => readonly Execution[];
  /** by the clock that cannot jump: when the last command of a kept sandbox ended in the life of this daemon */
  readonly lastEndMs: (sandbox: SandboxId) => number | undefined;
  /** Puts back what an earlier daemon knew. */
  readonly adopt: (execution: Execution) => void;
  /** Ends the command itself: for a time limit or a lost caller. `false`: it has not begun, and may yet. */
  readonly kill: (execution: Execution) => Promise<boolean>;
  /**
   * The same where the caller is gone: what it started outside is ended first, so that nothing begins any more. `false`: not
   * over yet, or not begun; to be done again a moment later.
   */
  readonly abandon: (execution: Execution) => Promise<boolean>;
}

export interface ExecutionOutcome {
  readonly exitCode: number | undefined;
  /** `exited`, `timed-out`, `client-lost`, `stopped` */
  readonly reason: string;
}

export function createExecutions(context: SandboxContext): Executions {
  const open = new Map<string, Execution>();
  const lastEnds = new Map<SandboxId, number>();
  return {
    async open(row, request) {
      if (row.state !== 'running') {
        throw new CasemateError('SANDBOX_WRONG_STATE', `sandbox "${row.name}" is ${row.state}`, {
          hint: `Run: casemate start ${row.name}`,
        });
      }
      const execution = await begin(context, row, request);
      open.set(execution.id, execution);
      return execution;
    },
    async close(id, given) {
      const execution = open.get(id);
      if (execution === undefined || !open.delete(id)) {
        return undefined;
      }
      const outcome = execution.ended ?? given;
      try {
        // First: who looks while the end is recorded must not take the sandbox for one that nobody has used since long.
        if (context.store.find(execution.sandbox)?.ephemeral === false) {
          lastEnds.set(execution.sandbox, context.clock.monotonicMs());
        }
        // The signal may have been for the runtime alone: the command goes on then, and nobody waits for it.
        await ((outcome.exitCode ?? 0) > 128 ? endInside(context, execution) : undefined);
        await recordEnd(context, execution, outcome);
      } catch (error) {
        open.set(id, { ...execution, ended: outcome });
        throw error;
      }
      context.store.endExecution(id);
      return execution;
    },
    find: (id) => open.get(id),
    of: (sandbox) => [...open.values()].filter((execution) => execution.sandbox === sandbox),
    all: () => [...open.values()],
    lastEndMs: (sandbox) => lastEnds.get(sandbox),
    adopt: (execution) => void open.set(execution.id, execution),
    kill: (execution) => killExecution(context, execution),
    abandon: (execution) => abandonExecution(context, execution),
  };
}

async function begin(context: SandboxContext, row: SandboxRow, request: ExecutionRequest): Promise<OpenExecution> {
  const { command, cwd, env, tty, terminalSize, client, actor, timeoutMs } = request;
  const id = `ex-${randomBytes(8).toString('hex')}`;
  const subject = visible(command[0] ?? '').slice(0, 200);
  const startedMs = context.clock.nowMs();
  const deadlineMs = timeoutMs === undefined ? undefined : startedMs + timeoutMs;
  const known = { id, sandbox: row.id, client, actor, subject, startedMs, deadlineMs };
  context.store.beginExecution({ ...known, invocation: undefined });
  // Neither needs the other: the engine starts nothing yet, and nobody is told how to before it is on record.
  const recorded = recordStart(context, row, { known, command, tty });
  const attached = context.engine.attach(row.id, { command, cwd, env, tty, terminalSize, executionId: id });
  attached.catch(() => undefined);
  await recorded.catch((error: unknown) => {
    forget(context, id);
    throw error;
  });
  try {
    const invocation = await attached;
    context.store.beginExecution({ ...known, invocation });
    return { ...known, invocation, timedOut: false };
  } catch (error) {
    // The caller is told why; that this end could not be written down either is not put before it.
    await recordEnd(context, known, { exitCode: undefined, reason: toCasemateError(error).code }).then(
      () => forget(context, id),
      () => undefined,
    );
    throw error;
  }
}

/** What stays is found by the next daemon, which looks into the journal. */
function forget({ store }: SandboxContext, id: string): void {
  try {
    store.endExecution(id);
  } catch {
    // The state file cannot be written: the caller is told of what led here.
  }
}

interface Beginning {
  readonly known: Ended;
  readonly command: readonly string[];
  readonly tty: boolean;
}

async function recordStart({ journal }: SandboxContext, row: SandboxRow, { known, command, tty }: Beginning): Promise<void> {
  await journal.append({
    sandbox: row.id,
    actor: known.actor,
    action: 'exec.start',
    subject: known.subject,
    decision: 'none',
    outcome: 'accepted',
    policy: parsePlan(row.plan).policy.hash,
    detail: { execution: known.id, arguments: command.length - 1, argumentsSha256: sha256Of([...command]), tty },
  });
}

type Ended = Pick<Execution, 'id' | 'sandbox' | 'actor' | 'subject' | 'startedMs'>;

async function recordEnd(context: SandboxContext, execution: Ended, outcome: ExecutionOutcome): Promise<void> {
  const ms = Math.max(0, context.clock.nowMs() - execution.startedMs);
  await context.journal.append({
    sandbox: execution.sandbox,
    actor: execution.actor,
    action: 'exec.end',
    subject: execution.subject,
    decision: 'none',
    outcome: outcome.reason,
    detail: { execution: execution.id, ms, ...(outcome.exitCode === undefined ? {} : { exitCode: outcome.exitCode }) },
  });
}

/** The runtime writes the number of a command once it runs. */
async function killExecution({ engine }: SandboxContext, { sandbox, invocation }: Execution): Promise<boolean> {
  const leader = invocation === undefined ? '' : (await readFile(invocation.pidFile, 'utf8').catch(() => '')).trim();
  if (leader === '') {
    return false;
  }
  // What is gone by now needs no end.
  await engine.endSession(sandbox, leader).catch(() => undefined);
  return true;
}

async function abandonExecution(context: SandboxContext, execution: Execution): Promise<boolean> {
  const { invocation } = execution;
  const started = invocation === undefined ? [] : await carriersOf(invocation);
  started.forEach(endProcess);
  return (await endInside(context, execution)) && started.length === 0;
}

/** Also what has no number yet: its runtime was killed before it wrote one. */
async function endInside(context: SandboxContext, execution: Execution): Promise<boolean> {
  const hasBegun = await killExecution(context, execution);
  await context.engine.endOrphans(execution.sandbox).catch(() => undefined);
  return hasBegun;
}

function endProcess(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended by itself.
  }
}

export async function clientLives(client: ProcessIdentity | undefined): Promise<boolean> {
  return client !== undefined && (await isSameProcess(client));
}
