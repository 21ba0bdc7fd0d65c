import type { ChildProcess } from 'node:child_process';
import type { Socket } from 'node:net';
import { constants } from 'node:os';
import { join } from 'node:path';

import { filledIn } from '../agents/mcp-servers.ts';
import { CasemateError, toCasemateError } from '../base/errors.ts';
import { visible } from '../base/text.ts';
import type { LocalRecord } from '../gateway/local-names.ts';
import { companionsOf, serverOf } from '../sandbox/life/companions.ts';
import type { SandboxContext } from '../sandbox/context.ts';
import type { OpenExecution } from '../sandbox/commands/executions.ts';
import { sandboxFolder } from '../sandbox/host-files/folder.ts';
import { parsePlan } from '../sandbox/plan/plan.ts';
import type { Sandboxes } from '../sandbox/sandboxes.ts';
import type { WantedServer } from '../sandbox/life/server-links.ts';
import { sandboxFolders } from '../sandbox/plan/spec.ts';
import type { SandboxRow } from '../sandbox/stored/store.ts';
import { spawnProcess } from '../system/process.ts';
import { identifyProcess } from '../system/process-identity.ts';
import { openOutputLog } from './output-log.ts';

/**
 * Servers of agents in sandboxes of their own. Each connection from the agent's side gets its own program there, started like
 * any command, with that confinement and on record. Bytes are relayed unread; either side ends the other.
 */
export interface ServingParts {
  readonly context: SandboxContext;
  readonly sandboxes: Sandboxes;
  readonly log: (text: string) => void;
  /** how long a program may take to end once its input has; default: 5000 */
  readonly graceMs?: number | undefined;
}

/** of one server at a time */
const mostConnections = 8;

export function serveServers(parts: ServingParts): void {
  const open = new Map<string, number>();
  parts.context.servers.madeBy((wanted, socket, record) => {
    // An agent may be silent for as long as it likes.
    socket.setTimeout(0);
    const key = `${wanted.session} ${wanted.server}`;
    const count = open.get(key) ?? 0;
    if (count >= mostConnections) {
      void record.deny(
        { subject: visible(wanted.server), detail: {} },
        { reason: 'too-many-connections', action: 'server.connect' },
      );
      socket.destroy();
      return;
    }
    open.set(key, count + 1);
    serve(parts, { wanted, socket, record })
      .catch((error: unknown) => parts.log(`a server of ${wanted.session}: ${toCasemateError(error).message}`))
      .finally(() => {
        socket.destroySoon();
        open.set(key, (open.get(key) ?? 1) - 1);
      });
  });
}

interface Connection {
  readonly wanted: WantedServer;
  readonly socket: Socket;
  readonly record: LocalRecord;
}

async function serve(parts: ServingParts, { wanted, socket, record }: Connection): Promise<void> {
  const { context, sandboxes } = parts;
  const found = companionsOf(context.store, wanted.session).find((row) => serverOf(row) === wanted.server);
  if (found === undefined) {
    throw new CasemateError('SANDBOX_NOT_FOUND', 'there is no sandbox of this server');
  }
  if (!(await record.effect('server.connect', { subject: wanted.server, detail: { companion: found.id } }))) {
    return;
  }
  try {
    // It may have died since its session began.
    await sandboxes.start(found.id, { actor: 'sandbox', callerEnv: context.env });
    const execution = await begin(parts, found);
    let exitCode: number | undefined;
    try {
      exitCode = await joined(parts, { wanted, execution, socket });
    } finally {
      await sandboxes.close(execution.id, { exitCode, reason: 'exited' });
    }
  } catch (error) {
    const { code } = toCasemateError(error);
    await record.deny({ subject: wanted.server, detail: { companion: found.id } }, { reason: code, action: 'server.connect' });
    throw error;
  }
}

async function begin({ context, sandboxes }: ServingParts, { id, plan }: SandboxRow): Promise<OpenExecution> {
  const { companion } = parsePlan(plan);
  const credentials = context.held.get(id);
  if (companion === undefined || credentials === undefined) {
    throw new CasemateError('INTERNAL', 'a sandbox of a server without one');
  }
  const { command, env } = companion;
  const { execution } = await sandboxes.open(id, {
    command,
    env: filledIn(env, credentials.phantomNamed),
    tty: false,
    client: await identifyProcess(process.pid),
    actor: 'sandbox',
  });
  return execution;
}

interface Joining {
  readonly wanted: WantedServer;
  readonly execution: OpenExecution;
  readonly socket: Socket;
}

/** The exit code of the program, once both are over. */
async function joined(parts: ServingParts, { wanted, execution, socket }: Joining): Promise<number> {
  const { file, args, env } = execution.invocation;
  const child = spawnProcess(file, args, { env: { ...env }, detached: true, stdio: ['pipe', 'pipe', 'pipe'] });
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  child.once('error', reject);
  child.once('close', (code, signal) => resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal])));
  const close = keepStderr(parts, child, { wanted, execution });
  let isOver = false;
  let late: NodeJS.Timeout | undefined;
  child.once('close', () => {
    isOver = true;
    clearTimeout(late);
  });
  // Its socket ends after a program that ended by itself, too: then nothing is left to be ended.
  const endLate = (): void => {
    child.stdin?.end();
    if (!isOver) {
      late ??= setTimeout(() => {
        void parts.sandboxes.executions.kill(execution);
        child.kill('SIGKILL');
      }, parts.graceMs ?? 5000);
    }
  };
  child.stdin?.on('error', () => undefined);
  child.stdout?.on('error', () => undefined);
  socket.once('end', endLate);
  socket.once('close', endLate);
  if (child.stdin !== null && child.stdout !== null) {
    socket.pipe(child.stdin);
    child.stdout.pipe(socket);
  }
  if (socket.destroyed) {
    endLate();
  }
  try {
    return await promise;
  } finally {
    close();
  }
}

/** With what the commands of the session print, for its caller to read. */
function keepStderr({ context }: ServingParts, child: ChildProcess, { wanted, execution }: Omit<Joining, 'socket'>): () => void {
  const { logs } = sandboxFolders(sandboxFolder(context.paths, wanted.session));
  const log = openOutputLog(join(logs, `${execution.id}.log`), () => undefined);
  child.stderr?.on('data', (piece: Buffer) => log?.write(piece));
  return () => log?.close();
}
