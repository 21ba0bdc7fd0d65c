import { allDone } from '../../base/all-done.ts';
import { newSandboxId, parseSandboxName, type SandboxId, type SandboxName } from '../../base/ids.ts';
import type { Environment } from '../../system/environment.ts';
import type { SandboxContext } from '../context.ts';
import { lifeRecord, type StopOptions } from './lifecycle.ts';
import type { Locks } from './locks.ts';
import { hashPlan, parsePlan, type PlannedCompanion } from '../plan/plan.ts';
import type { SandboxRow, Store } from '../stored/store.ts';

/**
 * The sandboxes of single servers. Each is made, started and ended with the sandbox whose agent uses it, under that sandbox's
 * lock. Nothing else starts, stops or removes them.
 */
export interface Companions {
  /** Those of its plan that are not there yet. */
  readonly make: (session: SandboxRow, actor: string) => Promise<readonly SandboxRow[]>;
  /** All of them run when this resolves, or none that did not before. */
  readonly start: (session: SandboxRow, options: { readonly actor: string; readonly callerEnv: Environment }) => Promise<void>;
  readonly stop: (session: SandboxRow, options: StopOptions) => Promise<void>;
  readonly destroy: (session: SandboxRow, options: StopOptions) => Promise<void>;
}

/** What is done with one of them, under its own lock. */
export interface CompanionSteps {
  readonly start: (row: SandboxRow, options: { readonly actor: string; readonly callerEnv: Environment }) => Promise<void>;
  readonly stop: (row: SandboxRow, options: StopOptions) => Promise<void>;
  readonly destroy: (row: SandboxRow, options: StopOptions) => Promise<void>;
}

export function createCompanions(context: SandboxContext, locks: Locks, steps: CompanionSteps): Companions {
  const { store } = context;
  const each = async (rows: readonly SandboxRow[], work: (row: SandboxRow) => Promise<void>): Promise<void> =>
    void (await allDone(
      rows.map(({ id }) =>
        locks.run(id, async () => {
          const row = store.find(id);
          await (row === undefined ? undefined : work(row));
        }),
      ),
    ));
  const make: Companions['make'] = async (session, actor) => {
    const present = companionsOf(store, session.id);
    const missing = plannedFor(session).filter(({ server }) => !present.some((row) => serverOf(row) === server));
    const made = await allDone(missing.map((one) => makeOne(context, locks, { session, one, actor })));
    return [...present, ...made];
  };
  const stop: Companions['stop'] = async (session, options) =>
    await each(companionsOf(store, session.id), async (row) => await steps.stop(row, options));
  return {
    make,
    stop,
    async start(session, options) {
      const rows = await make(session, options.actor);
      try {
        await each(rows, async (row) => await steps.start(row, options));
      } catch (error) {
        await stop(session, { actor: options.actor, reason: 'start-failed' }).catch(() => undefined);
        throw error;
      }
    },
    destroy: async (session, options) =>
      await each(companionsOf(store, session.id), async (row) => await steps.destroy(row, options)),
  };
}

/** What is shown of a sandbox: what it is for, where it lives with another one. */
export interface Serving {
  readonly serves?: { readonly server: string; /** name of the other */ readonly sandbox: string } | undefined;
}

/** What is shown of a sandbox: those of the servers of its agent. */
export interface Accompanied {
  readonly companions: readonly { readonly server: string; readonly id: string; readonly name: string; readonly state: string }[];
}

/** How many sandboxes one with this plan is. */
export function sandboxesOf(row: Pick<SandboxRow, 'plan'>): number {
  return 1 + plannedFor(row).length;
}

export function companionsOf({ list }: Pick<Store, 'list'>, session: SandboxId): readonly SandboxRow[] {
  return list().filter(({ parent }) => parent === session);
}

/** Name of the server that a companion is for. */
export function serverOf({ plan }: Pick<SandboxRow, 'plan'>): string | undefined {
  return parsePlan(plan).companion?.name;
}

function plannedFor({ plan }: Pick<SandboxRow, 'plan'>): readonly PlannedCompanion[] {
  return parsePlan(plan).companions ?? [];
}

interface Making {
  readonly session: SandboxRow;
  readonly one: PlannedCompanion;
  readonly actor: string;
}

async function makeOne(
  { store, journal, clock }: SandboxContext,
  locks: Locks,
  { session, one, actor }: Making,
): Promise<SandboxRow> {
  const id = newSandboxId();
  const name = nameFor(one.server, id);
  const row = { id, name, plan: JSON.stringify(one.plan), planHash: hashPlan(one.plan), parent: session.id };
  const rest = { ephemeral: false, client: undefined, caller: session.caller, createdMs: clock.nowMs() };
  store.insert({ ...row, ...rest, state: 'creating', reason: 'asked' });
  return await locks.run(id, async () => {
    try {
      await journal.append(lifeRecord(row, one.plan, { actor, action: 'sandbox.create', outcome: 'ok' }));
    } catch (error) {
      store.move(id, { state: 'gone', reason: 'journal-unwritable' });
      throw error;
    }
    store.move(id, { state: 'created', reason: 'asked' });
    return { ...row, ...rest, state: 'created', reason: 'asked', startedMs: undefined, expiresMs: undefined };
  });
}

/** `mcp-tracker-1f2e3d`: names are of the whole host, and a session's may be as long as any. */
function nameFor(server: string, id: SandboxId): SandboxName {
  const word = server.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-');
  return parseSandboxName(`mcp-${word.slice(0, 24)}-${id.slice(-6)}`.replaceAll(/-+/g, '-'));
}
