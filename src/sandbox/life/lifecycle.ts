import { allDone } from '../../base/all-done.ts';
import { toCasemateError, type CasemateError } from '../../base/errors.ts';
import type { SandboxId } from '../../base/ids.ts';
import { cleanupStack, type Cleanup } from '../../base/cleanup.ts';
import type { GatewaySandbox } from '../../gateway/gateway.ts';
import type { LocalNames } from '../../gateway/local-names.ts';
import type { Guarding } from '../../gateway/guards/guarding.ts';
import { removeSessionValues } from '../../credentials/sealed/session-values.ts';
import { isRecipeFile } from '../../images/recipes/find-recipe.ts';
import { notBuilt } from '../../images/stored/store.ts';
import type { JournalEntry } from '../../journal/record.ts';
import type { Environment } from '../../system/environment.ts';
import { makeLayout } from '../../workspace/layout.ts';
import { isRepository } from '../../workspace/new-repositories.ts';
import { bindPlanCredentials } from '../credentials/bind-credentials.ts';
import type { PlanCredentials } from '../credentials/plan-credentials.ts';
import type { SandboxContext } from '../context.ts';
import { prepareFolder, removeFolder, sandboxFolder, writeTrust } from '../host-files/folder.ts';
import { repositoriesAtEnd } from '../project/found-repositories.ts';
import { guardingOf } from '../project/guarding.ts';
import { applyShare } from '../host/host-share.ts';
import type { HostShare } from '../host/share-limits.ts';
import { localNames } from './local-names.ts';
import { parsePlan, type Plan } from '../plan/plan.ts';
import { lastOfLife } from '../recorded/on-record.ts';
import { specOf } from '../plan/spec.ts';
import { refusedKeys, rulingOf } from '../requests/ruling.ts';
import type { SandboxRow, StoredAnswer } from '../stored/store.ts';

/**
 * Start, stop and removal of one sandbox. The state file first says what is about to happen. The journal must accept a start
 * before it has any effect; an end is recorded after it is done, because no fault may keep a sandbox running. Then the state
 * file says that it happened. If the daemon dies in between, reconcile finds it.
 */
export interface StartOptions {
  /** variables of the caller's own environment that credential sources of this sandbox name */
  readonly callerEnv: Environment;
  readonly actor: string;
  /** of the room that it was given; default: read now */
  readonly share?: HostShare | undefined;
}

export async function startSandbox(context: SandboxContext, row: SandboxRow, options: StartOptions): Promise<void> {
  const plan = parsePlan(row.plan);
  const { store, journal, clock } = context;
  const [rootfs, credentials] = await allDone([
    imageRootfs(context, plan),
    bindPlanCredentials(context, { plan, sandboxId: row.id, parent: row.parent, callerEnv: options.callerEnv }),
  ]);
  // Before anything is made: a crowd that is not held is not started.
  await (plan.engine === 'oci' ? applyShare(context, options.share) : undefined);
  store.move(row.id, { state: 'starting', reason: 'asked' });
  const undo = cleanupStack();
  try {
    await journal.append(lifeRecord(row, plan, { actor: options.actor, action: 'sandbox.start', outcome: 'accepted' }));
    await realise(context, { row, plan, rootfs, credentials, undo });
    const nowMs = clock.nowMs();
    // A caller cannot make its session last by starting it again.
    const sinceMs = row.caller === undefined ? nowMs : row.createdMs;
    const expiresMs = plan.limits.timeMs === undefined ? undefined : sinceMs + plan.limits.timeMs;
    store.move(row.id, { state: 'running', reason: 'asked', startedMs: nowMs, expiresMs });
  } catch (thrown) {
    const error = toCasemateError(thrown);
    await undoStart(context, row, { undo, plan, actor: options.actor, error });
    throw error;
  }
}

interface FailedStart {
  readonly undo: Cleanup;
  readonly plan: Plan;
  readonly actor: string;
  readonly error: CasemateError;
}

/**
 * Takes back what a start made. What cannot be taken back leaves the sandbox in `stopping`, which `stop`, `destroy`, the
 * timers and the next daemon finish. The caller is told of the first fault; one of this is not put before it.
 */
async function undoStart(
  { store, journal }: SandboxContext,
  row: SandboxRow,
  { undo, plan, actor, error }: FailedStart,
): Promise<void> {
  const isUndone = await undo.run().then(
    () => true,
    () => false,
  );
  const before = row.state === 'created' ? 'created' : 'stopped';
  try {
    store.move(row.id, { state: isUndone ? before : 'stopping', reason: 'start-failed' });
  } catch {
    // It stays in `starting`, from where it can be stopped and removed.
  }
  if (error.code !== 'JOURNAL_UNWRITABLE') {
    await journal
      .append(lifeRecord(row, plan, { actor, action: 'sandbox.start-failed', outcome: error.code }))
      .catch(() => undefined);
  }
}

interface Realisation {
  readonly row: SandboxRow;
  readonly plan: Plan;
  readonly rootfs: string;
  readonly credentials: PlanCredentials;
  readonly undo: Cleanup;
}

async function realise(context: SandboxContext, { row, plan, rootfs, credentials, undo }: Realisation): Promise<void> {
  const { engine, gateway, store } = context;
  const folder = sandboxFolder(context.paths, row.id);
  await allDone([
    prepareFolder(context, { row, plan, credentials }),
    makeLayout(plan.workspace.path, plan.workspace.layout ?? []),
  ]);
  const { id, name } = row;
  undo.add('remove the container', async () => {
    await engine.stop(id, { graceMs: 0 });
    await engine.remove(id);
  });
  const spec = specOf(plan, { id, name, owner: store.ownerId, rootfs, folder, phantoms: credentials.variables });
  const [authority, guarding] = await allDone([writeTrust(context, row), guardingOf(context, row, plan), engine.create(spec)]);
  undo.add('forget what must not leave', () => context.guards.known.forget(id));
  const ingress = await engine.ingress(id, { tcp: plan.network.tcpPorts, udp: plan.network.udpPorts });
  undo.add('close the ingress', () => ingress.close());
  const local = localNames(context, row, plan);
  gateway.attach(gatewaySandbox(row, plan, { credentials, authority, guarding, local, answers: store.answers(id) }), ingress);
  undo.add('cut the gateway', () => gateway.detach(id));
  context.held.set(id, credentials);
  undo.add('forget the credentials', () => void context.held.delete(id));
  await engine.start(id);
}

export function gatewaySandbox(
  row: SandboxRow,
  plan: Plan,
  parts: {
    readonly credentials: PlanCredentials;
    readonly authority: GatewaySandbox['authority'];
    readonly guarding: Guarding;
    readonly local?: LocalNames | undefined;
    /** what a person allowed and denied since the plan was made */
    readonly answers: readonly StoredAnswer[];
  },
): GatewaySandbox {
  return {
    id: row.id,
    name: row.name,
    ...(row.parent === undefined ? {} : { countedWith: row.parent, server: plan.companion?.name }),
    ...rulingOf(plan, parts.answers),
    learn: plan.learn === undefined ? undefined : { setting: plan.learn, bound: plan.network.bound },
    asks: { settings: plan.asks, bound: plan.network.bound, refused: refusedKeys(parts.answers) },
    credentials: parts.credentials.bound,
    authority: parts.authority,
    guarding: parts.guarding,
    local: parts.local,
  };
}

async function imageRootfs(context: SandboxContext, plan: Plan): Promise<string> {
  // A recipe file may be another by now, or gone: the image it was made from is known by its digest.
  const image = isRecipeFile(plan.image.recipe) ? undefined : await context.images.find(plan.image.recipe);
  if (image === undefined || (plan.image.digest !== undefined && image.digest !== plan.image.digest)) {
    const kept = (await context.images.list()).find((candidate) => candidate.digest === plan.image.digest);
    if (kept !== undefined) {
      return kept.rootfs;
    }
    throw notBuilt(plan.image.recipe, []);
  }
  return image.rootfs;
}

export interface StopOptions {
  readonly actor: string;
  /** a word for the state file and the journal: `asked`, `expired`, `idle`, `client-lost`, `daemon-stop` */
  readonly reason: string;
}

/** Everything of the sandbox is stopped when this resolves; workspace and home stay. Idempotent. */
export async function stopSandbox(context: SandboxContext, row: SandboxRow, options: StopOptions): Promise<void> {
  const { engine, gateway, store } = context;
  store.move(row.id, { state: 'stopping', reason: options.reason });
  await gateway.detach(row.id);
  context.guards.known.forget(row.id);
  context.held.delete(row.id);
  await engine.stop(row.id, { graceMs: 2000 });
  await engine.remove(row.id);
  await repositoriesAtEnd(context, row);
  await recordEnd(context, row, { ...options, action: 'sandbox.stop', isAgain: row.state === 'stopping' });
  store.move(row.id, { state: 'stopped', reason: options.reason });
}

/** Removes container, mounts and home of a sandbox. The workspace is the user's and is never touched. Idempotent. What to know of it. */
export async function destroySandbox(context: SandboxContext, row: SandboxRow, options: StopOptions): Promise<readonly string[]> {
  const { engine, gateway, store } = context;
  store.move(row.id, { state: 'removing', reason: options.reason });
  await gateway.detach(row.id);
  context.held.delete(row.id);
  await engine.stop(row.id, { graceMs: row.ephemeral ? 0 : 2000 });
  await engine.remove(row.id);
  const repositories = await repositoriesAtEnd(context, row);
  await removeFolder(context, row.id);
  if (parsePlan(row.plan).credentials.some(({ rule }) => rule.source.kind === 'given')) {
    await removeSessionValues(context.sealed, (sandbox) => sandbox === row.id);
  }
  context.guards.known.forget(row.id);
  context.guards.ledger.forget(row.id);
  await recordEnd(context, row, { ...options, action: 'sandbox.destroy', isAgain: row.state === 'removing' });
  store.move(row.id, { state: 'gone', reason: options.reason });
  return repositories.slice(0, 20).map(wordFor);
}

function wordFor(path: string): string {
  return isRepository(path) ? `new or changed git repository ${path}` : `${path}: look at it before you run git there`;
}

interface EndFacts extends StopOptions {
  readonly action: 'sandbox.stop' | 'sandbox.destroy';
  /** An earlier attempt at this end did not come to its own end. */
  readonly isAgain: boolean;
}

/** Once: an attempt that was cut off after its record is finished without another one. */
async function recordEnd({ journal }: SandboxContext, row: SandboxRow, facts: EndFacts): Promise<void> {
  const { actor, action, reason, isAgain } = facts;
  if (!isAgain || (await lastOfLife(journal, row.id)) !== action) {
    await journal.append(lifeRecord(row, parsePlan(row.plan), { actor, action, outcome: reason }));
  }
}

/** What `destroySandbox` removes and what it keeps, for the person who is asked. */
export function destroyList(context: SandboxContext, row: SandboxRow): { removed: readonly string[]; kept: readonly string[] } {
  const plan = parsePlan(row.plan);
  return {
    removed: [`container ${row.id}`, `home, snapshots and files of the sandbox: ${sandboxFolder(context.paths, row.id)}`],
    kept: [
      `workspace ${plan.workspace.path}`,
      `image ${plan.image.recipe} (${plan.image.digest ?? 'not built'})`,
      'journal records',
    ],
  };
}

interface LifeFacts {
  readonly actor: string;
  readonly action: string;
  readonly outcome: string;
}

export function lifeRecord(
  row: { id: SandboxId; name: string; planHash: string; parent?: SandboxId | undefined },
  plan: Plan,
  facts: LifeFacts,
): JournalEntry {
  const waived = plan.waive.length === 0 ? {} : { waived: plan.waive.join(' ') };
  const agent = plan.agent === undefined ? {} : { agent: plan.agent.name, permissions: plan.agent.permissions };
  return {
    ...facts,
    sandbox: row.id,
    subject: row.name,
    decision: 'none',
    policy: plan.policy.hash,
    detail: {
      plan: row.planHash,
      ...agent,
      ...waived,
      ...companionDetail(row, plan),
      ...(plan.learn === undefined ? {} : { learn: plan.learn.mode }),
    },
  };
}

/** Whose server, so that its records are found with those of its session. */
function companionDetail({ parent }: { parent?: SandboxId | undefined }, { companion }: Plan): Readonly<Record<string, string>> {
  return parent === undefined || companion === undefined ? {} : { of: parent, server: companion.name };
}
