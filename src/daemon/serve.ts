import { rm } from 'node:fs/promises';
import { join } from 'node:path';

import { CasemateError, toCasemateError } from '../base/errors.ts';
import { visible } from '../base/text.ts';
import { assemble } from './assemble.ts';
import { buildId } from './build-id.ts';
import { createCalls } from './calls.ts';
import { takeDaemonLock } from './lock.ts';
import { socketPath, startFaultPath, type StatusAnswer } from './protocol.ts';
import { listenForCalls, type Control } from './server.ts';
import { createTimers } from './timers.ts';
import { reconcile } from '../sandbox/reconcile.ts';
import type { Sandboxes } from '../sandbox/sandboxes.ts';
import type { Environment } from '../system/environment.ts';
import { privateFolder, writeDurably } from '../system/files.ts';
import type { Paths } from '../system/paths.ts';
import { version } from '../system/version.ts';

/** The daemon's life: lock, state, what still runs, then calls until nobody needs it any more. */
export interface ServeOptions {
  readonly env: Environment;
  readonly paths: Paths;
  readonly uid: number;
}

const tickMs = 500;
const defaultIdleMs = 10 * 60_000;

/** Resolves to the exit code when the daemon has ended in order. 0 also when another daemon was faster. */
export async function serve(options: ServeOptions): Promise<number> {
  const { paths } = options;
  await privateFolder(paths.runtime);
  await rm(startFaultPath(paths), { force: true });
  try {
    await privateFolder(paths.state);
    return await live(options);
  } catch (error) {
    // Whoever started us is waiting for the socket; it reads this instead.
    const { code, message, hint } = toCasemateError(error);
    await writeDurably(startFaultPath(paths), JSON.stringify({ code, message, hint }));
    throw error;
  }
}

async function live({ env, paths, uid }: ServeOptions): Promise<number> {
  const lock = takeDaemonLock(join(paths.state, 'daemon.lock'));
  if (lock === undefined) {
    return 0;
  }
  // A fault in one exchange or call must not take the others with it; it is written down and it is a defect.
  process.on('unhandledRejection', (reason) => log(`unhandled: ${describe(reason)}`));
  process.on('uncaughtException', (error) => log(`uncaught: ${describe(error)}`));
  const { context, sandboxes } = await assemble({ env, paths, uid, log });
  const timers = createTimers({ context, sandboxes, log });
  // The first start would wait for these answers.
  void context.engine.examine('runc').catch(() => undefined);
  const { adopted, stopped, removed, faults } = await reconcile(context, sandboxes.executions);
  faults.forEach(log);
  log(`started; adopted ${adopted.length}, stopped ${stopped.length}, removed ${removed.length}`);

  const ending = Promise.withResolvers<void>();
  const startedMs = performance.now();
  let lastUseMs = startedMs;
  const socket = socketPath(paths);
  const status = (): StatusAnswer => statusOf(sandboxes, { socket, uptimeMs: performance.now() - startedMs });
  const calls = createCalls({
    context,
    sandboxes,
    timers,
    status,
    async shutdown(force) {
      const names = await stopAll(sandboxes, { force, uid, env });
      setImmediate(() => ending.resolve());
      return names;
    },
  });
  const control = await listenForCalls({
    path: socket,
    calls,
    hello: { version, build: buildId() },
    onActivity() {
      lastUseMs = performance.now();
    },
  });
  const idleMs = Number(env.get('CASEMATE_IDLE_MS') ?? defaultIdleMs);
  const timer = setInterval(() => {
    void timers.tick();
    if (isIdle(control, sandboxes) && performance.now() - lastUseMs > idleMs) {
      ending.resolve();
    }
  }, tickMs);
  process.once('SIGTERM', () => ending.resolve());
  process.once('SIGINT', () => ending.resolve());
  await ending.promise;
  clearInterval(timer);
  control.stopListening();
  await sandboxes.settled();
  await context.gateway.close();
  await context.journal.close();
  context.store.close();
  lock.release();
  process.exit(0);
}

function isIdle(control: Control, sandboxes: Sandboxes): boolean {
  return control.connections() === 0 && !sandboxes.list().some((row) => row.state === 'running' || row.state === 'starting');
}

function statusOf(sandboxes: Sandboxes, facts: { socket: string; uptimeMs: number }): StatusAnswer {
  const rows = sandboxes.list();
  return {
    pid: process.pid,
    version,
    uptimeMs: Math.round(facts.uptimeMs),
    memoryBytes: process.memoryUsage.rss(),
    running: rows.filter((row) => row.state === 'running').length,
    sandboxes: rows.length,
    socket: facts.socket,
  };
}

/** Names of the sandboxes that were stopped with it. Throws `SANDBOX_WRONG_STATE` when some run and `force` is off. */
async function stopAll(sandboxes: Sandboxes, options: { force: boolean; uid: number; env: Environment }): Promise<readonly string[]> {
  const running = sandboxes.list().filter((row) => row.state === 'running');
  if (running.length > 0 && !options.force) {
    throw new CasemateError('SANDBOX_WRONG_STATE', `sandboxes are running: ${running.map((row) => row.name).join(', ')}`, {
      hint: 'Stop them first, or run: casemate daemon stop --force',
    });
  }
  for (const row of running) {
    const call = { actor: `user:${options.uid}`, callerEnv: options.env, reason: 'daemon-stop' };
    // oxlint-disable-next-line no-await-in-loop -- one after the other, in order
    await (row.ephemeral ? sandboxes.destroy(row.id, call) : sandboxes.stop(row.id, call));
  }
  return running.map((row) => row.name);
}

function log(text: string): void {
  process.stderr.write(`${new Date().toISOString()} ${visible(text)}\n`);
}

function describe(thrown: unknown): string {
  const { code, message } = toCasemateError(thrown);
  return `${code}: ${message}`;
}
