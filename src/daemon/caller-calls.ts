import { realpath } from 'node:fs/promises';
import { randomBytes } from 'node:crypto';

import { CasemateError } from '../base/errors.ts';
import { parseSandboxName } from '../base/ids.ts';
import { visible } from '../base/text.ts';
import { isWithin } from '../policy/layers/resolve-scalars.ts';
import type { SandboxContext } from '../sandbox/context.ts';
import { parsePlan } from '../sandbox/plan/plan.ts';
import type { MakeRequest } from '../sandbox/making/prepare.ts';
import type { Sandboxes } from '../sandbox/sandboxes.ts';
import type { SandboxRow } from '../sandbox/stored/store.ts';
import { callerActor, callerMethods, viewerMethods, type CallerMethod } from './caller-protocol.ts';
import type { CallerClaim } from './caller-view.ts';
import type { MakeCall } from './protocol.ts';
import type { CallContext, Calling } from './server.ts';
import { policyOfCaller } from './caller-policy.ts';
import { requireClaim } from './token-claims.ts';

/**
 * The calls of a caller that is not the person at this host: an agent over MCP, which we assume can be talked into anything. It
 * sees and touches only its own sandboxes, works only in its own roots, and asks for less than the policy gives or is refused.
 * Every refusal is recorded.
 */
export interface CallerParts {
  readonly context: SandboxContext;
  readonly sandboxes: Sandboxes;
  readonly claim: CallerClaim;
  /** those of the person, with effects recorded under this caller */
  readonly calls: Calling;
}

/** Of a session where no policy says any. */
const sessionTimes = { timeMs: 60 * 60_000, idleMs: 15 * 60_000 } as const;

export function callsOfCaller(parts: CallerParts): Calling {
  const { calls, sandboxes, claim } = parts;
  const own = (name: string): SandboxRow => ownRow(parts, name);
  const named =
    <P extends { readonly name: string }, R>(call: (params: P, context: CallContext) => Promise<R>) =>
    async (params: P, context: CallContext): Promise<R> =>
      await call({ ...params, name: own(params.name).id }, context);
  const ofExecution =
    <P extends { readonly executionId: string }, R>(call: (params: P, context: CallContext) => Promise<R>, otherwise: R) =>
    async (params: P, context: CallContext): Promise<R> => {
      const sandbox = sandboxes.executions.find(params.executionId)?.sandbox;
      const isOwn = sandbox !== undefined && isOf(claim, parts.context.store.find(sandbox));
      return isOwn ? await call(params, context) : otherwise;
    };
  const ended = { timedOut: false, repositories: { paths: [], complete: true } };
  const { refused, allowed } = gate(parts);
  const destroyed = (name: string): string =>
    (parts.context.store.find(name) === undefined ? goneRow(parts, name) : own(name)).id;
  return {
    ...refused,
    ...allowed({
      plan: async (params, context) => await calls.plan(await narrowed(parts, params), context),
      create: makeCreate(parts),
      start: async ({ name, queueMs }, context) => await calls.start({ name: notExpired(parts, own(name)).id, queueMs }, context),
      stop: named(calls.stop),
      restart: async ({ name }, context) => await calls.restart({ name: notExpired(parts, own(name)).id }, context),
      'destroy-list': async ({ name }, context) => await calls['destroy-list']({ name: destroyed(name) }, context),
      destroy: async ({ name }, context) => await calls.destroy({ name: destroyed(name) }, context),
      exec: async (params, context) => await execIn(parts, own(params.name), { params, context }),
      resume: ofExecution(calls.resume, { known: false }),
      close: ofExecution(calls.close, ended),
      ls: async () => (await calls.ls({}, noContext)).filter((row) => isOf(claim, row) && row.serves === undefined),
      inspect: named(calls.inspect),
      stats: named(calls.stats),
      'session-requests': named(calls['session-requests']),
      'session-plead': named(calls['session-plead']),
      'session-alarm': named(calls['session-alarm']),
      'session-explain': named(calls['session-explain']),
      'snapshot-take': named(calls['snapshot-take']),
      'snapshot-list': named(calls['snapshot-list']),
      'snapshot-restore': named(calls['snapshot-restore']),
      'snapshot-remove': named(calls['snapshot-remove']),
    }),
  };
}

/** `ls` asks and reports nothing. */
const noContext: CallContext = { ask: async () => undefined, progress: () => undefined, onLost: () => undefined };

type Allowed = Pick<Calling, CallerMethod>;

/** Everything is refused, but for what the table of `protocol.ts` names. */
function gate({ calls, context, claim }: CallerParts): { refused: Calling; allowed: (own: Allowed) => Allowed } {
  const refuse = (method: string) => async (): Promise<never> => {
    await recordRefusal(context, claim, { subject: method, outcome: 'method' });
    throw new CasemateError('NOT_ALLOWED', `"${method}" is not for this caller to do`, {
      hint: 'Ask the person at this host; no argument of a call does it.',
    });
  };
  // oxlint-disable-next-line no-unsafe-type-assertion -- every method of the table, each with a call that only refuses
  const refused = Object.fromEntries(Object.keys(calls).map((method) => [method, refuse(method)])) as unknown as Calling;
  const isViewer = claim.role === 'viewer';
  const viewed = (own: Allowed): Allowed => ({
    ...own,
    ...only(refused, (method) => !viewerMethods.some((one) => one === method)),
  });
  return { refused, allowed: (own) => whileItHolds(isViewer ? viewed(own) : own, { context, claim }) };
}

/** Each call is judged anew: a token may be revoked while its connection is open. */
function whileItHolds(own: Allowed, { context, claim }: Pick<CallerParts, 'context' | 'claim'>): Allowed {
  const held = Object.entries(own).map(([method, call]) => [
    method,
    async (params: never, callContext: CallContext) => {
      requireClaim(context, claim);
      return await call(params, callContext);
    },
  ]);
  // oxlint-disable-next-line no-unsafe-type-assertion -- the same methods, each behind the same question
  return Object.fromEntries(held) as Allowed;
}

function only(refused: Calling, isWanted: (method: CallerMethod) => boolean): Partial<Allowed> {
  return Object.fromEntries(callerMethods.filter(isWanted).map((method) => [method, refused[method]]));
}

interface ExecOf {
  readonly params: Parameters<Calling['exec']>[0];
  readonly context: CallContext;
}

/** Its state was kept when it fell idle or the host was started anew: it goes on where it was. */
async function execIn(parts: CallerParts, row: SandboxRow, { params, context }: ExecOf): ReturnType<Calling['exec']> {
  const { calls, context: known, claim } = parts;
  const exec = async () => await calls.exec({ ...params, name: row.id }, context);
  const startAndExec = async () => {
    await calls.start({ name: notExpired(parts, row).id }, context);
    // A start takes its time, in which the token may be revoked.
    requireClaim(known, claim);
    return await exec();
  };
  if (row.state === 'stopped' || row.state === 'created') {
    return await startAndExec();
  }
  return await exec().catch(async (error: unknown) => {
    // Its time may have come while the command waited for its turn.
    if (!fellIdle(known.store.find(row.id))) {
      throw error;
    }
    return await startAndExec();
  });
}

function fellIdle(row: SandboxRow | undefined): boolean {
  return row?.reason === 'idle' && (row.state === 'stopped' || row.state === 'stopping');
}

/** Those of people belong to no caller, whatever its role. */
function isOf({ name, role }: CallerClaim, row: { readonly caller?: string | undefined } | undefined): boolean {
  return row?.caller !== undefined && (row.caller === name || role === 'admin');
}

async function recordRefusal(
  { journal }: SandboxContext,
  { name }: CallerClaim,
  { subject, outcome }: { readonly subject: string; readonly outcome: string },
): Promise<void> {
  const entry = {
    actor: callerActor(name),
    action: 'caller.refused',
    subject: visible(subject),
    decision: 'deny',
    outcome,
  } as const;
  await journal.append(entry);
}

function ownRow({ context, claim }: CallerParts, name: string): SandboxRow {
  const row = context.store.find(name);
  if (row === undefined || !isOf(claim, row)) {
    throw notOwn(name);
  }
  return row;
}

function goneRow({ context, claim }: CallerParts, name: string): SandboxRow {
  const row = context.store.findGone(name);
  if (row === undefined || !isOf(claim, row)) {
    throw notOwn(name);
  }
  return row;
}

/** The same words whether there is none or it is somebody else's. */
function notOwn(name: string): CasemateError {
  return new CasemateError('SANDBOX_NOT_FOUND', `no sandbox of yours is named "${visible(name).slice(0, 80)}"`, {
    hint: 'List yours.',
  });
}

function notExpired({ context }: CallerParts, row: SandboxRow): SandboxRow {
  const { timeMs } = parsePlan(row.plan).limits;
  if (timeMs !== undefined && context.clock.nowMs() >= row.createdMs + timeMs) {
    throw new CasemateError('SANDBOX_WRONG_STATE', `sandbox "${row.name}" has expired`, {
      hint: 'Make another one. What it wrote into the workspace is there.',
    });
  }
  return row;
}

function makeCreate(parts: CallerParts): Calling['create'] {
  return async (params, call) => {
    const request = await narrowed(parts, params);
    const name = params.name === undefined ? undefined : freeName(parts, params.name);
    return await parts.calls.create({ ...request, name, keys: params.keys, queueMs: params.queueMs }, call);
  };
}

/** Names are of the whole host; that another caller has one is not told by a refusal. */
function freeName({ context, claim }: CallerParts, asked: string): string {
  const name = parseSandboxName(asked);
  const taken = context.store.find(name);
  return taken === undefined || taken.caller === claim.name ? name : `${name.slice(0, 33)}-${randomBytes(3).toString('hex')}`;
}

/** The request with nothing in it but what a caller may say. Throws `NOT_ALLOWED`, and records that. */
async function narrowed(parts: CallerParts, params: MakeCall): Promise<MakeRequest> {
  const { context, claim } = parts;
  const { policyFile, userPolicyFolder, userPolicyFile, engine, runtime, image, skipPermissions, waive, trust, learn } = params;
  const wider = Object.entries({
    policyFile,
    userPolicyFolder,
    userPolicyFile,
    engine,
    runtime,
    image,
    skipPermissions,
    waive,
    trust,
    learn,
  }).find(([, value]) => value !== undefined && value !== false && !(Array.isArray(value) && value.length === 0));
  if (wider !== undefined) {
    await recordRefusal(context, claim, { subject: wider[0], outcome: 'wider' });
    throw new CasemateError('NOT_ALLOWED', `"${wider[0]}" is the person's at this host to say, in the policy`);
  }
  const folder = await inRoots(parts, params.workspace ?? params.cwd);
  const { agent, readonly, timeoutMs, narrowing, provider, region, models, mcpServers, given } = params;
  return {
    cwd: folder,
    workspace: folder,
    agent,
    provider,
    region,
    models,
    mcpServers,
    given,
    readonly,
    narrowing: { ...narrowing, timeMs: narrowing?.timeMs ?? timeoutMs, unlessSaid: sessionTimes },
    mustLieIn: await realRoots(claim),
    // Judged again: a root may hold it by now.
    userPolicyFile: claim.policy === undefined ? undefined : await policyOfCaller(claim.policy, await realRoots(claim)),
  };
}

async function inRoots({ context, claim }: CallerParts, path: string): Promise<string> {
  const real = await realpath(path).catch(() => path);
  if (!(await realRoots(claim)).some((root) => isWithin(real, root))) {
    await recordRefusal(context, claim, { subject: real, outcome: 'root' });
    throw outsideRoots(path, claim);
  }
  return real;
}

function outsideRoots(path: string, { roots }: CallerClaim): CasemateError {
  return new CasemateError('NOT_ALLOWED', `${visible(path)} lies in none of the roots of this caller`, {
    hint: `Roots: ${roots.map(visible).join(', ')}. The person at the host declares them.`,
  });
}

async function realRoots({ roots }: CallerClaim): Promise<readonly string[]> {
  return await Promise.all(roots.map(async (root) => await realpath(root).catch(() => root)));
}
