import { setImmediate as nextTurn } from 'node:timers/promises';

import { CasemateError } from '../base/errors.ts';
import type { SandboxId } from '../base/ids.ts';
import { nearest, visible } from '../base/text.ts';
import type { Environment } from '../system/environment.ts';
import { createBackground } from './life/background-work.ts';
import { companionsOf, createCompanions, sandboxesOf, type Companions, type CompanionSteps } from './life/companions.ts';
import type { SandboxContext } from './context.ts';
import { sandboxFolder } from './host-files/folder.ts';
import { trimKeptOutput } from './commands/kept-output.ts';
import {
  createExecutions,
  type Execution,
  type ExecutionOutcome,
  type ExecutionRequest,
  type Executions,
  type OpenExecution,
} from './commands/executions.ts';
import { destroyList, destroySandbox, startSandbox, stopSandbox } from './life/lifecycle.ts';
import { createLocks, type Locks } from './life/locks.ts';
import { makeSandbox, type MakeOptions } from './making/make-sandbox.ts';
import type { CallersChoice } from './making/choose-engine.ts';
import { prepare, type MakeRequest, type Prepared } from './making/prepare.ts';
import { createRoom, type Place, type Room, type Wish } from './host/room.ts';
import { listSnapshots, removeSnapshot, restoreSnapshot, takeSnapshot, type Snapshots } from './host-files/snapshots.ts';
import type { SandboxRow } from './stored/store.ts';

/** The use cases as every front end of the program calls them: one object, one lock per sandbox, no other state. */
export interface Sandboxes {
  readonly prepare: (request: MakeRequest, callers?: CallersChoice) => Promise<Prepared>;
  /** Records a sandbox for a prepared plan; nothing runs yet. */
  readonly make: (prepared: Prepared, options: MakeOptions) => Promise<SandboxRow>;
  readonly start: (name: string, options: CallOptions) => Promise<SandboxRow>;
  /** Stops what counts as running though its first process ended by itself or was killed. */
  readonly settle: (name: string) => Promise<void>;
  readonly stop: (name: string, options: CallOptions) => Promise<SandboxRow>;
  readonly destroy: (name: string, options: CallOptions) => Promise<Destroyed>;
  readonly destroyList: (name: string) => ReturnType<typeof destroyList>;
  readonly open: (name: string, request: ExecutionRequest) => Promise<Opened>;
  /** Starts a throw-away sandbox and opens its own command in one turn: no other may be the first, for it goes with that. */
  readonly startFor: (name: string, options: CallOptions, own: ExecutionRequest) => Promise<Opened>;
  /** Ends an execution; a throw-away sandbox goes with its own command, in the background. */
  readonly close: (executionId: string, outcome: ExecutionOutcome) => Promise<Execution | undefined>;
  /** Reads the credentials of a running sandbox again, with these variables of the caller. */
  readonly rebind: (name: string, callerEnv: Environment) => Promise<void>;
  /** Of its home; it is stopped for it where it runs and no command does. */
  readonly snapshots: Snapshots;
  readonly find: (name: string) => SandboxRow;
  readonly list: () => readonly SandboxRow[];
  readonly executions: ReturnType<typeof createExecutions>;
  readonly room: Room;
  /** Work that goes on in the background, for an orderly end. */
  readonly settled: () => Promise<void>;
}

export interface Opened {
  readonly row: SandboxRow;
  readonly execution: OpenExecution;
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
  const companions = createCompanions(context, locks, companionSteps(context, executions));
  const started = createStarted(context, { executions, find, underLock, room, companions });
  const ends = createEnds(context, { executions, locks, find, underLock, room, companions });
  return {
    ...ends,
    prepare: (request, callers) => prepare(context, request, callers),
    async make(prepared, options) {
      const made = await makeSandbox(context, locks, { prepared, options });
      try {
        await locks.run(made.id, async () => await companions.make(made, options.actor));
      } catch (error) {
        await ends.destroy(made.id, { ...options, reason: 'start-failed' }).catch(() => undefined);
        throw error;
      }
      return made;
    },
    start: (name, options) => started(name, options, ({ id }) => find(id)),
    startFor: (name, options, own) =>
      started(name, options, async ({ id }) => ({ execution: await executions.open(find(id), own), row: find(id) })),
    settle: (name) => underLock(name, async (row) => void (await settleDead(context, executions, row, companions))),
    destroyList: (name) => destroyList(context, find(name)),
    open: (name, request) =>
      underLock(name, async (row) => {
        const execution = await executions.open(row, request).catch(async (error: unknown) => {
          // Asked only now: a sandbox that lives is not looked at twice.
          throw (await settleDead(context, executions, row, companions)) ? hasEnded(row) : error;
        });
        return { row, execution };
      }),
    snapshots: createSnapshots(context, { underLock, stop: ends.stop, executions }),
    rebind: (name, callerEnv) =>
      underLock(name, async ({ id }) => {
        for (const one of [id, ...companionsOf(store, id).map((row) => row.id)]) {
          // oxlint-disable-next-line no-await-in-loop -- sources may ask the person; one at a time
          await context.held.get(one)?.refresh(callerEnv);
        }
      }),
    find,
    list: () => store.list(),
    executions,
    room,
  };
}

/** Nothing but `stop` has its own turn; a command that comes in between starts it again, and then it is not at rest. */
function createSnapshots(
  context: SandboxContext,
  {
    underLock,
    stop,
    executions,
  }: { readonly underLock: UnderLock; readonly stop: Sandboxes['stop']; readonly executions: Executions },
): Snapshots {
  const atRest = async <T>(name: string, actor: string, work: (row: SandboxRow) => Promise<T>): Promise<T> => {
    const when = ({ id, state, ephemeral }: SandboxRow): boolean =>
      state === 'running' && !ephemeral && executions.of(id).length === 0;
    await stop(name, { actor, callerEnv: context.env, reason: 'snapshot', when });
    return await underLock(name, work);
  };
  return {
    take: (name, options) => atRest(name, options.actor, (row) => takeSnapshot(context, row, options)),
    restore: (name, options) => atRest(name, options.actor, (row) => restoreSnapshot(context, row, options)),
    remove: (name, options) => underLock(name, (row) => removeSnapshot(context, row, options)),
    list: (name) => underLock(name, (row) => listSnapshots(context, row)),
  };
}

interface Starting extends CallOptions {
  /** what has to run before it does, and is stopped again where it does not start */
  readonly before?: Pick<Companions, 'start' | 'stop'> | undefined;
}

/** Nothing is done with one that runs. */
async function startOne(
  context: SandboxContext,
  executions: Executions,
  found: SandboxRow,
  { before, ...options }: Starting,
): Promise<void> {
  await settleDead(context, executions, found, before);
  const row = context.store.find(found.id) ?? found;
  if (row.state === 'running') {
    return;
  }
  requireState(row, ['created', 'stopped']);
  await before?.start(row, options);
  try {
    await startSandbox(context, row, { ...options, share: options.place?.share });
  } catch (error) {
    await before?.stop(row, { actor: options.actor, reason: 'start-failed' }).catch(() => undefined);
    throw error;
  }
}

function companionSteps(context: SandboxContext, executions: Executions): CompanionSteps {
  return {
    start: async (row, options) => await startOne(context, executions, row, options),
    async stop(row, options) {
      if (row.state !== 'stopped' && row.state !== 'created') {
        context.store.move(row.id, { state: 'stopping', reason: options.reason });
        await endExecutions(executions, row, options.reason);
        await stopSandbox(context, row, options);
      }
    },
    async destroy(row, options) {
      context.store.move(row.id, { state: 'removing', reason: options.reason });
      await endExecutions(executions, row, options.reason);
      await destroySandbox(context, row, options);
    },
  };
}

/** One of a server may be started again, because it died, for as long as the sandbox whose server it is runs. */
function requireParent({ store }: SandboxContext, { parent }: SandboxRow): void {
  const of = parent === undefined ? undefined : store.find(parent);
  if (parent !== undefined && of?.state !== 'running') {
    throw new CasemateError('SANDBOX_WRONG_STATE', `it is for a server of "${of?.name ?? parent}", which does not run`, {
      hint: 'It is started with that one.',
    });
  }
}

type Started = <T>(name: string, options: CallOptions, then: (row: SandboxRow) => T | Promise<T>) => Promise<T>;

/** Starts one, with room for it, and does what follows in the same turn. */
function createStarted(
  context: SandboxContext,
  { executions, find, underLock, room, companions }: Omit<EndParts, 'locks'>,
): Started {
  return async (name, options, then) => {
    for (;;) {
      // oxlint-disable-next-line no-await-in-loop -- once more where it ended before its turn
      const done = await inRoom(room, find(name), options, (place) =>
        underLock(name, async (row) => {
          requireParent(context, row);
          // It ran when room was looked for, and has ended since: it takes room like any other.
          if (place === undefined && row.state !== 'running') {
            return undefined;
          }
          await startOne(context, executions, row, { ...options, place, before: companions });
          return { value: await then(row) };
        }),
      );
      if (done !== undefined) {
        return done.value;
      }
    }
  };
}

/** Nobody's turn is held up by one who waits in the line: the lock comes after it. */
async function inRoom<T>(
  room: Room,
  row: SandboxRow,
  { place, line }: CallOptions,
  start: (place: Place | undefined) => Promise<T>,
): Promise<T> {
  const { id, state, caller } = row;
  const wish = { id, caller, runs: true, count: sandboxesOf(row), ...line };
  // One that runs takes no more by being started again.
  const own = place ?? (state === 'running' ? undefined : await room.enter(wish));
  try {
    return await start(own);
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
  /** they end with it, before it does */
  readonly companions: Companions;
}

/** The ways in which a sandbox ends; a throw-away one goes with its command, or when it is stopped. */
function createEnds(
  context: SandboxContext,
  { executions, locks, find, underLock, room, companions }: EndParts,
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
      await companions.destroy(row, { actor: options.actor, reason });
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
          await companions.stop(row, { actor: options.actor, reason });
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

async function trimOutput(context: SandboxContext, executions: Executions, sandbox: SandboxId | undefined): Promise<void> {
  if (sandbox !== undefined) {
    const running = new Set(executions.of(sandbox).map(({ id }) => id));
    await trimKeptOutput(sandboxFolder(context.paths, sandbox), running);
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
async function settleDead(
  context: SandboxContext,
  executions: Sandboxes['executions'],
  row: SandboxRow,
  companions?: Pick<Companions, 'stop'>,
): Promise<boolean> {
  if (row.state !== 'running' || row.ephemeral) {
    return false;
  }
  const entries = await context.engine.list(context.store.ownerId);
  if (entries.some(({ id, state }) => id === row.id && state === 'running')) {
    return false;
  }
  context.store.move(row.id, { state: 'stopping', reason: 'died' });
  await endExecutions(executions, row, 'died');
  await companions?.stop(row, { actor: 'daemon', reason: 'died' });
  await stopSandbox(context, row, { actor: 'daemon', reason: 'died' });
  return true;
}

/** What cannot be recorded stays open and is tried again when the sandbox is next ended: it must not keep it running. */
async function endExecutions(executions: Sandboxes['executions'], row: SandboxRow, reason: string): Promise<void> {
  const close = ({ id, timedOut }: Execution) =>
    executions.close(id, { exitCode: undefined, reason: timedOut ? 'timed-out' : reason });
  await Promise.allSettled(executions.of(row.id).map(close));
}
