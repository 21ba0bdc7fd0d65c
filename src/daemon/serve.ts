import { cleanupStack, type Cleanup } from '../base/cleanup.ts';
import { engineNames } from '../base/engine-names.ts';
import { CasemateError, toCasemateError } from '../base/errors.ts';
import { visible } from '../base/text.ts';
import { assemble } from './assemble.ts';
import { buildId } from './build-id.ts';
import { callsOfCaller } from './caller-calls.ts';
import { createCalls, type CallParts } from './calls.ts';
import { daemonLock, takeDaemonLock } from './lock.ts';
import { socketPath, type StatusAnswer } from './protocol.ts';
import { listenForCalls, type Control } from './server.ts';
import { removeOldFaults, startFaultPath } from './start-fault.ts';
import { createTimers } from './timers.ts';
import { claimHolds, judgedClaim } from './token-claims.ts';
import { createTokenEnds } from './token-ends.ts';
import { actorOf, type SandboxContext } from '../sandbox/context.ts';
import { applyShare } from '../sandbox/host/host-share.ts';
import { reconcile } from '../sandbox/life/reconcile.ts';
import { followUnmanaged } from '../sandbox/life/unmanaged.ts';
import type { Sandboxes } from '../sandbox/sandboxes.ts';
import type { Environment } from '../system/environment.ts';
import { forbidCoreDumps } from '../system/core-dumps.ts';
import { privateFolder, removeDrafts, writeDurably } from '../system/files.ts';
import type { Paths } from '../system/paths.ts';
import { version } from '../system/version.ts';

/** The daemon's life: take the lock, open the state, find what still runs, then answer calls until no one needs it. */
export interface ServeOptions {
  readonly env: Environment;
  readonly paths: Paths;
  readonly uid: number;
  /** asked for the addresses of names in place of the host's own way, as `ADDRESS:PORT` */
  readonly resolver?: string | undefined;
  /** of a proof: its user's policy may name the hosts of its lab, whatever the organisation allows */
  readonly isLab?: boolean | undefined;
  /** ends, with its sandboxes, when this closes; `undefined`: when nobody needs it any more */
  readonly whileOpen?: NodeJS.ReadableStream | undefined;
}

const tickMs = 500;
/** how long the end waits for calls that are under way; a start that takes longer is settled by the next daemon */
const answerMs = 5000;
const defaultIdleMs = 10 * 60_000;

/** Resolves to the exit code when the daemon has ended in order. 0 also when another daemon was faster. */
export async function serve(options: ServeOptions): Promise<number> {
  const { paths } = options;
  await privateFolder(paths.runtime);
  const cleanup = cleanupStack();
  try {
    await privateFolder(paths.state);
    return await live(options, cleanup);
  } catch (error) {
    // Whoever started us is waiting for the socket; it reads this instead. That it cannot be written is not put before it.
    const { code, message, hint } = toCasemateError(error);
    await writeDurably(startFaultPath(paths, process.pid), JSON.stringify({ code, message, hint })).catch(() => undefined);
    throw error;
  } finally {
    await cleanup.run().catch((error: unknown) => log(describe(error)));
  }
}

async function live({ env, paths, uid, resolver, isLab, whileOpen }: ServeOptions, cleanup: Cleanup): Promise<number> {
  const idleMs = idleTime(env);
  const lock = takeDaemonLock(daemonLock(paths));
  if (lock === undefined) {
    return 0;
  }
  cleanup.add('give up the lock', lock.release);
  await Promise.all([paths.config, paths.state, paths.runtime].map(removeDrafts));
  await removeOldFaults(paths, Date.now());
  // Before any value is read.
  if (!(await forbidCoreDumps({ env }))) {
    log('a crash of this process may write its memory to disk: prlimit is not here to forbid it');
  }
  // A fault in one exchange or call must not take the others with it; it is written down and it is a defect.
  process.on('unhandledRejection', (reason) => log(`unhandled: ${describe(reason)}`));
  process.on('uncaughtException', (error) => log(`uncaught: ${describe(error)}`));
  const { context, sandboxes } = await assemble({ env, paths, uid, resolver, isLab, log, cleanup });
  // The first start would wait for these answers.
  void context.engine.examine('runc').catch(() => undefined);
  const { adopted, stopped, removed, faults } = await reconcile(context, sandboxes.executions);
  faults.forEach(log);
  context.engine.watch?.((change) => {
    followUnmanaged(context, sandboxes, change).catch((error: unknown) => log(`${change.id} ${change.what}: ${describe(error)}`));
  });
  log(`started; adopted ${adopted.length}, stopped ${stopped.length}, removed ${removed.length}`);
  // For those that were taken back; a start by itself would throw.
  await applyShare(context).catch((error: unknown) => log(describe(error)));
  await answerCalls({ context, sandboxes, idleMs, whileOpen });
  return 0;
}

interface Answering {
  readonly context: SandboxContext;
  readonly sandboxes: Sandboxes;
  readonly idleMs: number;
  readonly whileOpen: ServeOptions['whileOpen'];
}

/** Until it is told to end or nobody needs it. Sandboxes that still run then are taken back by the next daemon. */
async function answerCalls({ context, sandboxes, idleMs, whileOpen }: Answering): Promise<void> {
  const timers = createTimers({ context, sandboxes, log });
  const ending = Promise.withResolvers<void>();
  const startedMs = performance.now();
  let lastUseMs = startedMs;
  const socket = socketPath(context.paths);
  const parts: CallParts = {
    context,
    sandboxes,
    timers,
    status: () => statusOf(context, sandboxes, { socket, uptimeMs: performance.now() - startedMs }),
    async shutdown(force) {
      const names = stopAll(context, sandboxes, force);
      // One that is forced ends whatever became of its sandboxes: where a stop could not be recorded, nobody else could end it.
      const end = (): unknown => setImmediate(() => ending.resolve());
      void names.then(end, force ? end : () => undefined);
      return await names;
    },
  };
  const onActivity = (): void => {
    lastUseMs = performance.now();
  };
  const control = await listenForCalls({
    path: socket,
    calls: createCalls(parts),
    callsOf(said) {
      const claim = judgedClaim(context, said);
      return callsOfCaller({ context, sandboxes, claim, calls: createCalls({ ...parts, caller: claim.name }) });
    },
    hello: { version, build: buildId(), state: context.paths.state },
    onActivity,
  });
  const { expired } = createTokenEnds({ context, sandboxes, actor: 'daemon' });
  const timer = setInterval(() => {
    control.endCallers((claim) => !claimHolds(context, claim));
    void expired().catch((error: unknown) => log(describe(error)));
    void timers.tick();
    if (isIdle(control, sandboxes) && performance.now() - lastUseMs > idleMs) {
      ending.resolve();
    }
  }, tickMs);
  whileOpen?.resume().once('close', () => {
    void stopAll(context, sandboxes, true)
      .catch((error: unknown) => log(describe(error)))
      .finally(() => ending.resolve());
  });
  process.once('SIGTERM', () => ending.resolve());
  process.once('SIGINT', () => ending.resolve());
  await ending.promise;
  clearInterval(timer);
  context.asks.endWatches();
  await control.finish(answerMs);
  await sandboxes.settled();
}

function idleTime(env: Environment): number {
  const text = env.get('CASEMATE_IDLE_MS');
  if (text !== undefined && !/^\d{1,12}$/.test(text)) {
    throw new CasemateError('USAGE', `CASEMATE_IDLE_MS "${visible(text)}" is not a number of milliseconds`);
  }
  return text === undefined ? defaultIdleMs : Number(text);
}

function isIdle(control: Control, sandboxes: Sandboxes): boolean {
  return control.connections() === 0 && !sandboxes.list().some((row) => row.state === 'running' || row.state === 'starting');
}

async function statusOf(
  context: SandboxContext,
  sandboxes: Sandboxes,
  facts: { readonly socket: string; readonly uptimeMs: number },
): Promise<StatusAnswer> {
  const rows = sandboxes.list();
  return {
    pid: process.pid,
    version,
    uptimeMs: Math.round(facts.uptimeMs),
    memoryBytes: process.memoryUsage.rss(),
    running: rows.filter((row) => row.state === 'running').length,
    sandboxes: rows.length,
    waiting: sandboxes.room.waiting(),
    share: await context.share().catch(() => undefined),
    together: await applyShare(context).catch(() => undefined),
    socket: facts.socket,
    engines: await enginesOf(context),
  };
}

async function enginesOf({ engine }: SandboxContext): Promise<StatusAnswer['engines']> {
  const rows = await Promise.all(engineNames.map(async (name) => [name, await engine.choice?.({ engine: name })] as const));
  return Object.fromEntries(rows.filter(([, choice]) => choice !== undefined));
}

/**
 * Names of the sandboxes that were stopped with it. Throws `SANDBOX_WRONG_STATE` when some are in use and `force` is off,
 * and the first fault once all were tried.
 */
async function stopAll({ uid, env }: SandboxContext, sandboxes: Sandboxes, force: boolean): Promise<readonly string[]> {
  const used = sandboxes
    .list()
    .filter((row) => row.ephemeral || !['creating', 'created', 'stopped', 'removing'].includes(row.state));
  if (used.length > 0 && !force) {
    throw new CasemateError('SANDBOX_WRONG_STATE', `sandboxes are running: ${used.map((row) => row.name).join(', ')}`, {
      hint: 'Stop them first, or run: casemate daemon stop --force',
    });
  }
  const call = { actor: actorOf(uid), callerEnv: env, reason: 'daemon-stop' };
  const ends = used.map(async (row) => await (row.ephemeral ? sandboxes.destroy(row.id, call) : sandboxes.stop(row.id, call)));
  const fault = (await Promise.allSettled(ends)).find((end) => end.status === 'rejected');
  if (fault !== undefined) {
    throw fault.reason;
  }
  return used.map((row) => row.name);
}

function log(text: string): void {
  process.stderr.write(`${new Date().toISOString()} ${visible(text)}\n`);
}

function describe(thrown: unknown): string {
  const { code, message } = toCasemateError(thrown);
  return `${code}: ${message}`;
}
