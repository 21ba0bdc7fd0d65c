import { setImmediate as nextTurn } from 'node:timers/promises';

import { CasemateError } from '../base/errors.ts';
import { newSandboxId, parseSandboxName, type SandboxId, type SandboxName } from '../base/ids.ts';
import { nearest, visible } from '../base/text.ts';
import { notBuilt } from '../images/store.ts';
import { checkedSessionValue, removeSessionValues, writeSessionValue } from '../credentials/sealed/session-values.ts';
import type { Environment } from '../system/environment.ts';
import type { ProcessIdentity } from '../system/process-identity.ts';
import { bindPlanCredentials } from './bind-credentials.ts';
import type { SandboxContext } from './context.ts';
import { sandboxFolder } from './folder.ts';
import { trimKeptOutput } from './kept-output.ts';
import {
  createExecutions,
  type Execution,
  type ExecutionOutcome,
  type ExecutionRequest,
  type Executions,
  type OpenExecution,
} from './executions.ts';
import { destroyList, destroySandbox, lifeRecord, startSandbox, stopSandbox } from './lifecycle.ts';
import { createLocks, type Locks } from './locks.ts';
import { hashPlan, type Plan } from './plan.ts';
import { prepare, type MakeRequest, type Prepared } from './prepare.ts';
import { createRoom, type Place, type Room, type Wish } from './room.ts';
import type { SandboxRow } from './store.ts';

/** The use cases, as every face of the program calls them: one object, one lock per sandbox, nothing else of state. */
export interface Sandboxes {
  readonly prepare: (request: MakeRequest) => Promise<Prepared>;
  /** Records a sandbox for a prepared plan; nothing runs yet. */
  readonly make: (prepared: Prepared, options: MakeOptions) => Promise<SandboxRow>;
  readonly start: (name: string, options: CallOptions) => Promise<SandboxRow>;
  /** Stops what counts as running though its first process ended by itself or was killed. */
  readonly settle: (name: string) => Promise<void>;
  readonly stop: (name: string, options: CallOptions) => Promise<SandboxRow>;
  readonly destroy: (name: string, options: CallOptions) => Promise<Destroyed>;
  readonly destroyList: (name: string) => ReturnType<typeof destroyList>;
  readonly open: (name: string, request: ExecutionRequest) => Promise<{ row: SandboxRow; execution: OpenExecution }>;
  /** Ends an execution; a throw-away sandbox goes with its own command, in the background. */
  readonly close: (executionId: string, outcome: ExecutionOutcome) => Promise<Execution | undefined>;
  /** Reads the credentials of a running sandbox again, with these variables of the caller. */
  readonly rebind: (name: string, callerEnv: Environment) => Promise<void>;
  readonly find: (name: string) => SandboxRow;
  readonly list: () => readonly SandboxRow[];
  readonly executions: ReturnType<typeof createExecutions>;
  readonly room: Room;
  /** Work that goes on in the background, for an orderly end. */
  readonly settled: () => Promise<void>;
}

export interface MakeOptions {
  readonly name: string | undefined;
  readonly ephemeral: boolean;
  readonly client: ProcessIdentity | undefined;
  readonly actor: string;
  readonly callerEnv: Environment;
  /** whose it will be, by name; absent: the person's at this host */
  readonly caller?: string | undefined;
  /** that it takes, of those that there may be */
  readonly place?: Place | undefined;
  /** values of the credentials that the plan says are given, by name */
  readonly given?: Readonly<Record<string, string>> | undefined;
}

export interface CallOptions {
  readonly actor: string;
  readonly callerEnv: Environment;
  readonly reason?: string | undefined;
  /** of a start: room that was taken for it, or how to wait for some */
  readonly place?: Place | undefined;
  readonly line?: Pick<Wish, 'waitMs' | 'signal' | 'tell'> | undefined;
  /** Asked when the sandbox's turn has come; where it says no, nothing is done. */
  readonly when?: ((row: SandboxRow) => boolean) | undefined;
}

export interface Destroyed {
  readonly alreadyGone: boolean;
  readonly name: string;
  readonly removed: readonly string[];
  readonly kept: readonly string[];
}

export function createSandboxes(context: SandboxContext): Sandboxes {
  const { store } = context;
  const locks = createLocks();
  const room = createRoom(context);
  const executions = createExecutions(context);
  const find = (name: string): SandboxRow => store.find(name) ?? notFound(context, name);
  const underLock: UnderLock = (name, work) => {
    const { id } = find(name);
    return locks.run(id, () => work(find(id)));
  };
  return {
    ...createEnds(context, { executions, locks, find, underLock, room }),
    prepare: (request) => prepare(context, request),
    make: (prepared, options) => make(context, locks, { prepared, options }),
    start: (name, options) =>
      inRoom(room, find(name), options, () =>
        underLock(name, async (found) => {
          await settleDead(context, executions, found);
          const row = find(found.id);
          if (row.state !== 'running') {
            requireState(row, ['created', 'stopped']);
            await startSandbox(context, row, options);
          }
          return find(row.id);
        }),
      ),
    settle: (name) => underLock(name, async (row) => void (await settleDead(context, executions, row))),
    destroyList: (name) => destroyList(context, find(name)),
    open: (name, request) =>
      underLock(name, async (row) => {
        const execution = await executions.open(row, request).catch(async (error: unknown) => {
          // Asked only now: a sandbox that lives is not looked at twice.
          throw (await settleDead(context, executions, row)) ? hasEnded(row) : error;
        });
        return { row, execution };
      }),
    rebind: (name, callerEnv) => underLock(name, async (row) => await context.held.get(row.id)?.refresh(callerEnv)),
    find,
    list: () => store.list(),
    executions,
    room,
  };
}

/** Nobody's turn is held up by one who waits in the line: the lock comes after it. */
async function inRoom<T>(
  room: Room,
  { id, state, caller }: SandboxRow,
  { place, line }: CallOptions,
  start: () => Promise<T>,
): Promise<T> {
  // One that runs takes no more by being started again.
  const own = place ?? (state === 'running' ? undefined : await room.enter({ id, caller, runs: true, ...line }));
  try {
    return await start();
  } finally {
    own?.leave();
  }
}

type UnderLock = <T>(name: string, work: (row: SandboxRow) => Promise<T>) => Promise<T>;

interface EndParts {
  readonly executions: Sandboxes['executions'];
  readonly locks: Locks;
  readonly find: (name: string) => SandboxRow;
  readonly underLock: UnderLock;
  /** with each that ends there is some for another */
  readonly room: Room;
}

/** The ways in which a sandbox ends; a throw-away one goes with its command, or when it is stopped. */
function createEnds(
  context: SandboxContext,
  { executions, locks, find, underLock, room }: EndParts,
): Pick<Sandboxes, 'stop' | 'destroy' | 'close' | 'settled'> {
  const { store } = context;
  const background = createBackground();
  const destroy = (name: string, options: CallOptions): Promise<Destroyed> => {
    const { id } = store.find(name) ?? store.findGone(name) ?? notFound(context, name);
    return locks.run(id, async () => {
      const row = store.find(id);
      if (row === undefined || options.when?.(row) === false) {
        return { alreadyGone: row === undefined, name: (row ?? store.findGone(id))?.name ?? name, removed: [], kept: [] };
      }
      const lists = destroyList(context, row);
      const reason = options.reason ?? 'asked';
      // First: whoever comes after a kill must end it, for its commands are ended on record by then.
      store.move(row.id, { state: 'removing', reason });
      await endExecutions(executions, row, options.reason ?? 'stopped');
      const more = await destroySandbox(context, row, { actor: options.actor, reason }).finally(room.look);
      return { alreadyGone: false, name: row.name, ...lists, kept: [...lists.kept, ...more] };
    });
  };
  /** In the background; what fails is tried again by the timers. */
  const throwAway = (id: SandboxId, options: CallOptions): void => {
    if (store.find(id)?.ephemeral === true) {
      // First the answer to whoever waits for the command's end.
      background.run(nextTurn().then(() => destroy(id, options)));
    }
  };
  return {
    destroy,
    stop: (name, options) =>
      underLock(name, async (row) => {
        if (row.state !== 'stopped' && row.state !== 'created' && options.when?.(row) !== false) {
          const reason = options.reason ?? 'asked';
          store.move(row.id, { state: 'stopping', reason });
          await endExecutions(executions, row, options.reason ?? 'stopped');
          await stopSandbox(context, row, { actor: options.actor, reason }).finally(room.look);
          throwAway(row.id, { actor: options.actor, callerEnv: options.callerEnv, reason });
        }
        return find(row.id);
      }),
    async close(executionId, outcome) {
      let ended = executions.find(executionId);
      // Its own command is the first that was opened; who looks in meanwhile (`casemate exec`) does not end it.
      const isOwn = ended !== undefined && executions.of(ended.sandbox)[0]?.id === executionId;
      try {
        ended = await executions.close(executionId, outcome);
        background.run(trimOutput(context, executions, ended?.sandbox));
        return ended;
      } finally {
        // Also when the end could not be recorded: nobody is left who would end the sandbox.
        if (ended !== undefined && isOwn) {
          throwAway(ended.sandbox, { actor: ended.actor, callerEnv: context.env, reason: 'ended' });
        }
      }
    },
    settled: () => background.settled(),
  };
}

/** What goes on after an answer was given; it may fail. */
function createBackground() {
  const all = new Set<Promise<unknown>>();
  return {
    run(work: Promise<unknown>): void {
      const settling = work.catch(() => undefined);
      all.add(settling);
      void settling.then(() => all.delete(settling));
    },
    async settled(): Promise<void> {
      await Promise.all(all);
    },
  };
}

async function trimOutput(context: SandboxContext, executions: Executions, sandbox: SandboxId | undefined): Promise<void> {
  if (sandbox !== undefined) {
    const running = new Set(executions.of(sandbox).map(({ id }) => id));
    await trimKeptOutput(sandboxFolder(context.paths, sandbox), running);
  }
}

interface Making {
  readonly prepared: Prepared;
  readonly options: MakeOptions;
}

async function make(context: SandboxContext, locks: Locks, { prepared, options }: Making): Promise<SandboxRow> {
  const { store } = context;
  const id = newSandboxId();
  options.place?.is(id);
  const given = options.name === undefined ? undefined : parseSandboxName(options.name);
  if (prepared.plan.image.digest === undefined) {
    throw notBuilt(prepared.plan.image.recipe, []);
  }
  await sealGiven(context, id, options);
  try {
    return await makeRow(context, locks, { prepared, options, id, given });
  } catch (error) {
    // Nobody else would: no sandbox of this id is known.
    await removeSessionValues(context.sealed, (sandbox) => sandbox === id && store.find(id) === undefined).catch(() => undefined);
    throw error;
  }
}

/** Recorded by their keyed hash, as credentials are that a person sets. */
async function sealGiven({ sealed, journal }: SandboxContext, id: SandboxId, { given, actor }: MakeOptions): Promise<void> {
  for (const [name, text] of Object.entries(given ?? {})) {
    const value = checkedSessionValue(text, name);
    const entry = { sandbox: id, actor, action: 'credential.given', subject: name, decision: 'none', outcome: 'ok' } as const;
    // oxlint-disable-next-line no-await-in-loop -- one or two
    await journal.append({ ...entry, credential: journal.credentialHash(value) });
    // oxlint-disable-next-line no-await-in-loop -- as above
    await writeSessionValue(sealed, { sandbox: id, credential: name }, value);
  }
}

interface MakingRow extends Making {
  readonly id: SandboxId;
  readonly given: SandboxName | undefined;
}

async function makeRow(context: SandboxContext, locks: Locks, { prepared, options, id, given }: MakingRow): Promise<SandboxRow> {
  const { store, journal, clock } = context;
  // Read now, so that a missing key is said before anything is made; `start` reads again.
  await bindPlanCredentials(context, { plan: prepared.plan, sandboxId: id, callerEnv: options.callerEnv });
  const planHash = hashPlan(prepared.plan);
  // Only now: nothing is awaited between finding a free name and taking it.
  const name = given ?? freeName(context, prepared.plan, options.ephemeral);
  const row = { id, name, planHash, plan: JSON.stringify(prepared.plan), reason: 'asked', state: 'creating' as const };
  const { ephemeral, client, caller } = options;
  store.insert({ ...row, ephemeral, client, caller, createdMs: clock.nowMs() });
  // Whoever calls it by its name waits until it is on record.
  return await locks.run(id, async () => {
    try {
      await journal.append(lifeRecord(row, prepared.plan, { actor: options.actor, action: 'sandbox.create', outcome: 'ok' }));
    } catch (error) {
      store.move(id, { state: 'gone', reason: 'journal-unwritable' });
      throw error;
    }
    store.move(id, { state: 'created', reason: 'asked' });
    return store.find(id) ?? notFound(context, id);
  });
}

/** From the folder's name, with a number where that is taken; throw-away sandboxes get a part of their id's randomness. */
function freeName(context: SandboxContext, plan: Plan, ephemeral: boolean): SandboxName {
  const folder = plan.workspace.path.split('/').at(-1) ?? '';
  const stem =
    folder
      .toLowerCase()
      .replaceAll(/[^a-z0-9-]+/g, '-')
      .replaceAll(/^-+|-+$/g, '')
      .slice(0, 28)
      .replace(/-+$/, '') || 'sandbox';
  if (ephemeral) {
    return parseSandboxName(`${stem}-${newSandboxId().slice(-6)}`);
  }
  for (let number = 1; ; number += 1) {
    const candidate = number === 1 ? stem : `${stem}-${number}`;
    if (context.store.find(candidate) === undefined) {
      return parseSandboxName(candidate);
    }
  }
}

function notFound(context: SandboxContext, name: string): never {
  const near = nearest(
    name,
    context.store.list().map((row) => row.name),
  );
  throw new CasemateError('SANDBOX_NOT_FOUND', `no sandbox is named "${visible(name)}"`, {
    hint: near === undefined ? 'Run: casemate ls' : `Did you mean "${near}"?`,
  });
}

function requireState(row: SandboxRow, states: readonly SandboxRow['state'][]): void {
  if (!states.includes(row.state)) {
    throw new CasemateError('SANDBOX_WRONG_STATE', `sandbox "${row.name}" is ${row.state}`, {
      hint: `Run: casemate inspect ${row.name}`,
    });
  }
}

function hasEnded({ name }: SandboxRow): CasemateError {
  return new CasemateError('SANDBOX_WRONG_STATE', `sandbox "${name}" has ended: its first process is gone`, {
    hint: `Run: casemate start ${name}`,
  });
}

/** Whether it was dead. A throw-away one goes with its caller. */
async function settleDead(context: SandboxContext, executions: Sandboxes['executions'], row: SandboxRow): Promise<boolean> {
  if (row.state !== 'running' || row.ephemeral) {
    return false;
  }
  const entries = await context.engine.list(context.store.ownerId);
  if (entries.some(({ id, state }) => id === row.id && state === 'running')) {
    return false;
  }
  context.store.move(row.id, { state: 'stopping', reason: 'died' });
  await endExecutions(executions, row, 'died');
  await stopSandbox(context, row, { actor: 'daemon', reason: 'died' });
  return true;
}

/** What cannot be recorded stays open and is tried again when the sandbox is next ended: it must not keep it running. */
async function endExecutions(executions: Sandboxes['executions'], row: SandboxRow, reason: string): Promise<void> {
  const close = ({ id, timedOut }: Execution) =>
    executions.close(id, { exitCode: undefined, reason: timedOut ? 'timed-out' : reason });
  await Promise.allSettled(executions.of(row.id).map(close));
}
