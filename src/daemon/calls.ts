import { join } from 'node:path';

import { CasemateError } from '../base/errors.ts';
import { choosingVariables } from '../engines/engine-choice.ts';
import { engineChoice } from '../engines/registry.ts';
import { budgetStates, type BudgetState } from '../gateway/guards/budgets.ts';
import { callerVariables } from '../sandbox/credentials/bind-credentials.ts';
import type { CallersChoice } from '../sandbox/making/choose-engine.ts';
import { actorOf, type SandboxContext } from '../sandbox/context.ts';
import type { OpenExecution } from '../sandbox/commands/executions.ts';
import { sandboxFolder } from '../sandbox/host-files/folder.ts';
import { repositoriesSinceStart } from '../sandbox/project/found-repositories.ts';
import { agentOfPlan, parsePlan, type Plan } from '../sandbox/plan/plan.ts';
import { approveTrust, type MakeRequest, type Prepared } from '../sandbox/making/prepare.ts';
import type { Place } from '../sandbox/host/room.ts';
import type { Sandboxes } from '../sandbox/sandboxes.ts';
import { sandboxFolders } from '../sandbox/plan/spec.ts';
import type { SandboxRow } from '../sandbox/stored/store.ts';
import { environmentOf, type Environment } from '../system/environment.ts';
import type { NewRepositories } from '../workspace/new-repositories.ts';
import { createAccessCalls } from './access-calls.ts';
import { callerActor } from './caller-protocol.ts';
import { createCredentialCalls } from './credential-calls.ts';
import { createLeftBehindCalls } from './left-behind-calls.ts';
import { callerGone, goneOf, lineOf } from './gone-callers.ts';
import { createLoginCalls, loginsOf } from './login-calls.ts';
import { createRequestCalls } from './request-calls.ts';
import { seenFromOutside } from '../proof/seen-from-outside.ts';
import type { Target } from '../proof/target.ts';
import { createProofCalls } from './proof-calls.ts';
import { createSnapshotCalls } from './snapshot-calls.ts';
import type { Timers } from './timers.ts';
import type { Calling, CallContext } from './server.ts';
import type {
  ExecCall,
  InspectAnswer,
  MakeCall,
  OpenAnswer,
  RunCall,
  StartCall,
  StatsAnswer,
  StatusAnswer,
  TrustAnswer,
  TrustCall,
} from './protocol.ts';
import { companionViews, timeText, viewOf } from './views.ts';

/** The calls of the command line, each a few lines on top of the use cases. */
export interface CallParts {
  readonly context: SandboxContext;
  readonly sandboxes: Sandboxes;
  readonly timers: Timers;
  readonly status: () => Promise<StatusAnswer>;
  readonly shutdown: (force: boolean) => Promise<readonly string[]>;
  /** on whose behalf, by name; absent: the person's at this host */
  readonly caller?: string | undefined;
}

/** How the effects of these calls are named in the journal. */
function actorIn({ context, caller }: CallParts): string {
  return caller === undefined ? actorOf(context.uid) : callerActor(caller);
}

export function createCalls(parts: CallParts): Calling {
  const { context, sandboxes } = parts;
  const actor = actorIn(parts);
  const view = (row: SandboxRow) => viewOf(context, row);
  const startNamed = async ({ name, queueMs }: StartCall, call: CallContext): Promise<SandboxRow> => {
    const callerEnv = await askEnvironment(parsePlan(sandboxes.find(ownLife(parts, name)).plan), call);
    return await sandboxes.start(name, { actor, callerEnv, line: lineOf(queueMs, call) });
  };
  const stopNamed = async (name: string): Promise<SandboxRow> =>
    await sandboxes.stop(ownLife(parts, name), { actor, callerEnv: context.env });
  return {
    async plan(request, call) {
      const { plan, planHash } = await sandboxes.prepare(request, callersChoice(parts, call));
      return { hash: planHash, plan };
    },
    create: async (params, call) => view(await createCall(parts, params, call)),
    start: async (params, call) => view(await startNamed(params, call)),
    stop: async ({ name }) => view(await stopNamed(name)),
    restart: async ({ name }, call) => view(await restartCall(parts, name, call)),
    'destroy-list': async ({ name }) => destroyAnswer(parts, ownLife(parts, name)),
    destroy: async ({ name }) => await sandboxes.destroy(ownLife(parts, name), { actor, callerEnv: context.env }),
    run: (params, call) => runCall(parts, params, call),
    exec: (params, call) => execCall(parts, params, call),
    resume: ({ executionId }, call) => resumeCall(parts, executionId, call),
    async close({ executionId, exitCode }) {
      const timedOut = parts.timers.endedByTime(executionId);
      const repositories = await repositoriesOf(parts, executionId);
      await sandboxes.close(executionId, { exitCode, reason: timedOut ? 'timed-out' : 'exited' });
      return { timedOut, repositories };
    },
    ls: async () => sandboxes.list().map(view),
    inspect: ({ name }) => inspectCall(parts, name),
    processes: async ({ name }) => ({ pids: await context.engine.processes(sandboxes.find(name).id) }),
    stats: ({ name }) => statsCall(parts, name),
    'trust-list': async (request) => trustAnswer(await sandboxes.prepare(request)),
    trust: (params) => trustCall(parts, params),
    ...createAccessCalls(context, { find: sandboxes.find, actor }),
    ...createRequestCalls(context),
    ...createCredentialCalls({
      context,
      prepare: (request) => sandboxes.prepare(request),
      find: (name) => sandboxes.find(name).id,
      askVariables,
    }),
    ...createSnapshotCalls(sandboxes, { actor, own: (name) => ownLife(parts, name) }),
    ...createLoginCalls(context),
    ...createLeftBehindCalls(context, sandboxes),
    ...createProofCalls(parts),
    status: () => parts.status(),
    shutdown: async ({ force }) => ({ stopped: await parts.shutdown(force) }),
  };
}

async function createCall(parts: CallParts, params: MakeCall, call: CallContext): Promise<SandboxRow> {
  const { context, sandboxes } = parts;
  const actor = actorIn(parts);
  const hasGone = goneOf(call);
  return await inLine(parts, { params, call, runs: false }, async ({ prepared, callerEnv, place }) => {
    const { name, keys } = params;
    const owner = { actor, caller: parts.caller, ephemeral: false, client: undefined };
    const row = await sandboxes.make(prepared, { ...owner, name, callerEnv, place, given: keys });
    // Nobody will know of it: it would only count.
    if (hasGone()) {
      await sandboxes.destroy(row.id, { actor, callerEnv: context.env, reason: 'client-lost' });
      throw callerGone();
    }
    return row;
  });
}

async function restartCall(parts: CallParts, name: string, call: CallContext): Promise<SandboxRow> {
  const { context, sandboxes } = parts;
  const actor = actorIn(parts);
  // Asked first: a caller that has gone by then must not leave the sandbox stopped.
  const callerEnv = await askEnvironment(parsePlan(sandboxes.find(ownLife(parts, name)).plan), call);
  await sandboxes.stop(name, { actor, callerEnv: context.env });
  return await sandboxes.start(name, { actor, callerEnv });
}

/** Throws for one that only lives with another: it is that one that is started, stopped and removed. */
function ownLife({ context: { store } }: CallParts, name: string): string {
  const parent = store.find(name)?.parent;
  if (parent !== undefined) {
    const of = store.find(parent)?.name ?? parent;
    throw new CasemateError('SANDBOX_WRONG_STATE', `"${name}" is for a server of "${of}", and lives with it`, {
      hint: `Start, stop or destroy that one: ${of}`,
    });
  }
  return name;
}

/** The plan of a request; where the project's policy asks for more than anybody approved, a person is asked first. */
async function preparedFor(parts: CallParts, request: MakeRequest, call: CallContext): Promise<Prepared> {
  const { context, sandboxes } = parts;
  const prepared = await sandboxes.prepare(request, callersChoice(parts, call));
  const { trust } = prepared;
  if (trust === undefined || trust.approved) {
    return prepared;
  }
  if (request.trust !== true && (await call.ask({ kind: 'trust', path: trust.path, grants: trust.grants })) !== true) {
    throw new CasemateError('POLICY_UNTRUSTED', `${trust.path} asks for what nobody has approved: ${trust.grants.join('; ')}`, {
      hint: 'Read it, then run: casemate policy trust',
    });
  }
  // Not read again: what starts is what was shown.
  await approveTrust(context, trust, actorOf(context.uid));
  return prepared;
}

/** What a person should know before the next git command in the workspace; never a reason not to report an end. */
async function repositoriesOf({ context, sandboxes }: CallParts, executionId: string): Promise<NewRepositories> {
  const execution = sandboxes.executions.find(executionId);
  const row = execution && context.store.find(execution.sandbox);
  if (execution === undefined || row === undefined) {
    return { paths: [], complete: true };
  }
  return await repositoriesSinceStart(context, row, { execution: executionId });
}

function trustAnswer({ trust }: Prepared): TrustAnswer {
  return { path: trust?.path, hash: trust?.hash, grants: trust?.grants ?? [], approved: trust?.approved ?? true };
}

async function trustCall({ context, sandboxes }: CallParts, { hash, ...request }: TrustCall): Promise<TrustAnswer> {
  const prepared = await sandboxes.prepare(request);
  const { trust } = prepared;
  if (trust === undefined || trust.approved) {
    return trustAnswer(prepared);
  }
  if (trust.hash !== hash) {
    throw new CasemateError('POLICY_UNTRUSTED', `${trust.path} changed since its grants were shown; nothing is approved`, {
      hint: 'Read it again, then run: casemate policy trust',
    });
  }
  await approveTrust(context, trust, actorOf(context.uid));
  return { ...trustAnswer(prepared), approved: true };
}

/** Asked of whoever calls only where an engine is served by another program. */
function callersChoice({ context: { uid } }: CallParts, call: CallContext): CallersChoice {
  // Once for all engines: one question of a call is answered at a time.
  let asked: Promise<Environment> | undefined;
  return async (name) => {
    asked ??= askVariables(choosingVariables, call);
    return await engineChoice(name, { env: await asked, uid });
  };
}

async function askEnvironment(plan: Plan, call: CallContext): Promise<Environment> {
  return await askVariables(callerVariables(plan), call);
}

async function askVariables(names: readonly string[], call: CallContext): Promise<Environment> {
  if (names.length === 0) {
    return environmentOf({});
  }
  const answer = await call.ask({ kind: 'environment', names });
  const entries = typeof answer === 'object' && answer !== null ? Object.entries(answer) : [];
  return environmentOf(
    Object.fromEntries(entries.flatMap(([name, value]) => (typeof value === 'string' ? [[name, value]] : []))),
  );
}

interface Entered {
  readonly prepared: Prepared;
  readonly callerEnv: Environment;
  readonly place: Place;
}

interface Entering {
  readonly params: MakeCall;
  readonly call: CallContext;
  readonly runs: boolean;
}

/** after a wait of this length the policy may be another */
const stillMs = 1000;

/** What cannot be is said before anybody waits; what waited is planned again, by what holds then. */
async function inLine<T>(parts: CallParts, { params, call, runs }: Entering, make: (entered: Entered) => Promise<T>): Promise<T> {
  const readMs = performance.now();
  const before = await preparedFor(parts, params, call);
  const sinceMs = performance.now();
  // Where a person was asked meanwhile it is read again.
  const share = sinceMs - readMs > stillMs ? undefined : before.share;
  const count = 1 + (before.plan.companions ?? []).length;
  const place = await parts.sandboxes.room.enter({ caller: parts.caller, runs, count, share, ...lineOf(params.queueMs, call) });
  try {
    const prepared = performance.now() - sinceMs > stillMs ? await preparedFor(parts, params, call) : before;
    return await make({ prepared, callerEnv: await askEnvironment(prepared.plan, call), place });
  } finally {
    place.leave();
  }
}

async function runCall(parts: CallParts, params: RunCall, call: CallContext): Promise<OpenAnswer> {
  return await inLine(parts, { params, call, runs: true }, (entered) => runIn(parts, { params, call, ...entered }));
}

async function runIn(
  parts: CallParts,
  { params, call, prepared, callerEnv, place }: Entered & { readonly params: RunCall; readonly call: CallContext },
): Promise<OpenAnswer> {
  const { sandboxes } = parts;
  const command = params.command ?? agentCommand(prepared.plan, params.prompt);
  const actor = actorIn(parts);
  const { client, name, keep, tty, terminalSize, term } = params;
  const row = await sandboxes.make(prepared, { name, ephemeral: !keep, client, actor, callerEnv, place });
  try {
    const own = { command, tty, terminalSize, client, actor, env: termEnv(term) };
    return openAnswer(parts, { ...(await sandboxes.startFor(row.id, { actor, callerEnv, place }, own)), call });
  } catch (error) {
    await sandboxes.destroy(row.id, { actor, callerEnv, reason: 'start-failed' }).catch(() => undefined);
    throw error;
  }
}

function agentCommand(plan: Plan, prompt: string | undefined): readonly string[] {
  const agent = agentOfPlan(plan);
  if (agent === undefined || plan.agent === undefined) {
    throw new CasemateError('USAGE', 'no command is given and the policy names no agent', {
      hint: 'Write a command after --, or choose an agent: casemate run --agent claude',
    });
  }
  return agent.start({ permissions: plan.agent.permissions, prompt, args: [] });
}

function termEnv(term: string | undefined): Readonly<Record<string, string>> {
  return term === undefined ? {} : { TERM: /^[a-zA-Z0-9.+_-]{1,64}$/.test(term) ? term : 'xterm' };
}

async function execCall(parts: CallParts, params: ExecCall, call: CallContext): Promise<OpenAnswer> {
  const { command, cwd, env, tty, terminalSize, client, timeoutMs } = params;
  const actor = actorIn(parts);
  const { row, execution } = await parts.sandboxes.open(params.name, {
    command,
    cwd,
    env,
    tty,
    terminalSize,
    timeoutMs,
    client,
    actor,
  });
  return openAnswer(parts, { row, execution, call });
}

function openAnswer(parts: CallParts, opened: { row: SandboxRow; execution: OpenExecution; call: CallContext }): OpenAnswer {
  const { row, execution, call } = opened;
  call.onLost(() => void parts.timers.clientLost(execution.id));
  const folders = sandboxFolders(sandboxFolder(parts.context.paths, row.id));
  return {
    sandbox: viewOf(parts.context, row),
    executionId: execution.id,
    invocation: execution.invocation,
    logFile: join(folders.logs, `${execution.id}.log`),
  };
}

async function resumeCall(parts: CallParts, executionId: string, call: CallContext): Promise<{ known: boolean }> {
  const { context, sandboxes } = parts;
  const execution = sandboxes.executions.find(executionId);
  const row = execution === undefined ? undefined : context.store.find(execution.sandbox);
  if (execution === undefined || row === undefined) {
    return { known: false };
  }
  call.onLost(() => void parts.timers.clientLost(execution.id));
  await sandboxes.rebind(row.id, await askEnvironment(parsePlan(row.plan), call));
  return { known: true };
}

function destroyAnswer({ context, sandboxes }: CallParts, name: string) {
  const gone = context.store.find(name) === undefined ? context.store.findGone(name) : undefined;
  return gone === undefined
    ? { name: sandboxes.find(name).name, alreadyGone: false, ...sandboxes.destroyList(name) }
    : { name: gone.name, alreadyGone: true, removed: [], kept: [] };
}

async function inspectCall({ context, sandboxes }: CallParts, name: string): Promise<InspectAnswer> {
  const row = sandboxes.find(name);
  const plan = parsePlan(row.plan);
  // One look for all: every process of the host is asked where it belongs.
  const processes = await context.engine.processes(row.id);
  return {
    sandbox: viewOf(context, row),
    plan,
    seen: row.state === 'running' ? await seenFromOutside(targetOf(row, plan, processes), context.uid) : [],
    folder: sandboxFolder(context.paths, row.id),
    processes,
    namespaces: row.state === 'running' ? ((await context.engine.namespaces?.(row.id)) ?? {}) : {},
    budgets: budgetsOf(context, row.id, plan.guards),
    logins: await loginsOf(context, plan),
    phantoms: [...(context.held.get(row.id)?.bound.values() ?? [])].map((credential) => credential.phantom),
    companions: companionViews(context, row),
    commands: sandboxes.executions.of(row.id).map((execution) => ({
      executionId: execution.id,
      command: execution.subject,
      startedAt: timeText(execution.startedMs),
    })),
  };
}

/** Only looked at: nothing is run in it. */
function targetOf({ name }: SandboxRow, plan: Plan, processes: readonly number[]): Target {
  const inside = (): never => {
    throw new CasemateError('INTERNAL', 'nothing is run in a sandbox that is only looked at');
  };
  return { name, plan, inside, processes: async () => processes };
}

function budgetsOf({ guards, clock }: SandboxContext, sandboxId: string, rules: Plan['guards']): readonly BudgetState[] {
  return budgetStates(rules?.budgets ?? [], { sandboxId, ledger: guards.ledger, nowMs: clock.nowMs });
}

async function statsCall({ context, sandboxes }: CallParts, name: string): Promise<StatsAnswer> {
  const row = sandboxes.find(name);
  const { limits, guards } = parsePlan(row.plan);
  const empty = { memoryBytes: undefined, memoryPeakBytes: undefined, cpuMs: undefined, pids: undefined };
  const stats = row.state === 'running' ? await context.engine.stats(row.id) : empty;
  const usage = context.gateway.usage(row.id);
  return {
    name: row.name,
    state: row.state,
    ...stats,
    memoryLimitBytes: limits.memoryBytes,
    pidsLimit: limits.pids,
    budgets: budgetsOf(context, row.id, guards),
    network: usage && {
      open: usage.openConnections,
      allowed: usage.allowed,
      denied: usage.denied,
      bytesOut: usage.bytesOut,
      bytesIn: usage.bytesIn,
    },
  };
}
