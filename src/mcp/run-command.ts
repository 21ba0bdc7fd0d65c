import type { ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { constants } from 'node:os';
import type { Readable, Writable } from 'node:stream';

import { CasemateError } from '../base/errors.ts';
import { visible } from '../base/text.ts';
import type { Client } from '../daemon/client.ts';
import { linkExecution } from '../daemon/execution-link.ts';
import { giveUpAfter } from '../daemon/give-up.ts';
import { openOutputLog, type OutputLog } from '../daemon/output-log.ts';
import type { OpenAnswer } from '../daemon/protocol.ts';
import { startFailure } from '../daemon/start-failure.ts';
import { endNow, spawnProcess } from '../system/process.ts';
import { boundedText } from './bounded-text.ts';
import type { ToolContext } from './tool-context.ts';

/** Runs a command in a sandbox and returns its output: bounded, stored for the logs, and ended when the caller cancels. */
export interface RunOptions {
  readonly input?: string | undefined;
  readonly maxOutputBytes: number;
  /** Nothing of it is kept for the logs: it is about the session, not of it. */
  readonly quiet?: boolean | undefined;
  /** What it prints is told to nobody on the way. */
  readonly quietProgress?: boolean | undefined;
  /** Takes standard input and output to itself. */
  readonly exchange?: Exchange<void> | undefined;
  /** Is given each piece of standard output as it comes. */
  readonly onOutput?: ((piece: Buffer) => void) | undefined;
}

/** What is done with the two ends of a command instead of collecting its output. */
export type Exchange<T> = (io: { readonly stdin: Writable; readonly stdout: Readable }) => Promise<T>;

export interface CommandResult {
  readonly executionId: string;
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
  /** bytes of both that are left out of the middle; the logs have them, up to their own bound */
  readonly omittedBytes: number;
  readonly timedOut: boolean;
  readonly durationMs: number;
  /** repositories of git in the workspace that are new or have other settings: look before you run git there */
  readonly changedRepositories: readonly string[];
}

export interface CommandRequest {
  /** name or id of the session */
  readonly name: string;
  readonly command: readonly string[];
  readonly cwd?: string | undefined;
  readonly env?: Readonly<Record<string, string>> | undefined;
  readonly timeoutMs: number;
}

export interface OpenCommand {
  readonly name: string;
  /** in the environment of the command, and of whatever it starts */
  readonly mark: string;
  readonly client: Client;
  readonly opened: OpenAnswer;
  readonly timeoutMs: number;
}

/** Recorded and ready to be started; `runCommand` must follow, it also ends the connection. */
export async function openCommand(context: ToolContext, request: CommandRequest): Promise<OpenCommand> {
  context.signal.throwIfAborted();
  const client = await context.connect(context.progress);
  const mark = randomBytes(8).toString('hex');
  const env = { ...request.env, [markName]: mark };
  try {
    const opened = await client.call('exec', { ...request, env, tty: false, client: await context.identity() });
    return { name: request.name, mark, client, opened, timeoutMs: request.timeoutMs };
  } catch (error) {
    client.close();
    throw error;
  }
}

const progressEveryMs = 1000;

/** Throws the abort reason when the caller cancels: the command is over then. */
export async function runCommand(
  context: ToolContext,
  { name, mark, client, opened, timeoutMs }: OpenCommand,
  options: RunOptions,
): Promise<CommandResult> {
  const { executionId } = opened;
  const link = linkExecution(client, { executionId, connect: () => context.connect() });
  const startedMs = performance.now();
  let exitCode = 125;
  const stdout = boundedText(options.maxOutputBytes);
  const stderr = boundedText(options.maxOutputBytes);
  let closed;
  try {
    exitCode = await attached(context, opened, { ...options, timeoutMs, stdout: stdout.take, stderr: stderr.take });
  } finally {
    closed = await link.reportEnd(exitCode);
    if (options.quiet !== true && (closed.timedOut || context.signal.aborted)) {
      await endMarked(context, name, mark);
    }
  }
  context.signal.throwIfAborted();
  return {
    executionId,
    exitCode: closed.timedOut ? 124 : exitCode,
    stdout: stdout.text(),
    stderr: stderr.text(),
    omittedBytes: stdout.omitted() + stderr.omitted(),
    timedOut: closed.timedOut,
    durationMs: Math.round(performance.now() - startedMs),
    changedRepositories: closed.repositories.paths,
  };
}

const markName = 'CASEMATE_TASK';

/** Agents start commands in sessions of their own, which do not end with them. Whoever took the mark out of its environment stays. */
const endScript =
  'for round in 1 2 3; do for p in /proc/[0-9]*; do if tr "\\0" "\\n" < "$p/environ" | grep -qx "$0"; then kill -KILL "${p#/proc/}"; fi; done; done 2>/dev/null';

async function endMarked(cancelled: ToolContext, name: string, mark: string): Promise<void> {
  const context: ToolContext = { ...cancelled, signal: AbortSignal.timeout(20_000), progress: () => undefined };
  const command = ['/bin/sh', '-c', endScript, `${markName}=${mark}`];
  // What ended with its sandbox needs no end.
  await openCommand(context, { name, command, timeoutMs: 10_000 })
    .then(async (open) => await runCommand(context, open, { maxOutputBytes: 1024, quiet: true }))
    .catch(() => undefined);
}

interface Taking extends RunOptions {
  readonly timeoutMs: number;
  readonly stdout: (piece: Buffer) => void;
  readonly stderr: (piece: Buffer) => void;
}

async function attached(context: ToolContext, { invocation, logFile }: OpenAnswer, taking: Taking): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const log = taking.quiet === true ? undefined : openOutputLog(logFile, (text) => context.progress(text));
  const { file, args, env } = invocation;
  const child = spawnProcess(file, args, { env: { ...env }, detached: true, stdio: ['pipe', 'pipe', 'pipe'] });
  const cancel = (): void => endNow(child);
  const stopWaiting = giveUpAfter(child, taking.timeoutMs);
  context.signal.addEventListener('abort', cancel, { once: true });
  const reporter = lineReporter(taking.quiet === true || taking.quietProgress === true ? () => undefined : context.progress);
  const exchanged = wire(child, taking, { log, reporter });
  child.once('error', (cause) => {
    reject(new CasemateError('TOOL_MISSING', `cannot start ${file}: ${cause.message}`, { cause }));
  });
  child.once('close', (code, signal) => {
    const exitCode = code ?? 128 + (signal === null ? 0 : constants.signals[signal]);
    resolve(startFailure(invocation, exitCode) ?? exitCode);
  });
  if (context.signal.aborted) {
    cancel();
  }
  try {
    const exitCode = await promise;
    await exchanged;
    return exitCode;
  } finally {
    stopWaiting();
    reporter.close();
    context.signal.removeEventListener('abort', cancel);
    log?.close();
  }
}

interface Listening {
  readonly log: OutputLog | undefined;
  readonly reporter: LineReporter;
}

/** Resolves when an exchange is over; `undefined`: there is none, and output is collected. */
function wire({ stdin, stdout, stderr }: ChildProcess, taking: Taking, { log, reporter }: Listening): Promise<void> | undefined {
  stderr?.on('data', (piece: Buffer) => {
    log?.write(piece);
    taking.stderr(piece);
    reporter.take(piece);
  });
  // A command may end without reading its input; that is its right.
  stdin?.on('error', () => undefined);
  if (taking.exchange !== undefined && stdin !== null && stdout !== null) {
    const exchanged = taking.exchange({ stdin, stdout });
    const letGo = (): void => {
      stdin.destroy();
      stdout.destroy();
    };
    // However it ended, nobody reads on: a command that goes on writing would wait for ever.
    void exchanged.then(letGo, letGo);
    return exchanged;
  }
  stdout?.on('data', (piece: Buffer) => {
    log?.write(piece);
    taking.stdout(piece);
    taking.onOutput?.(piece);
    reporter.take(piece);
  });
  stdin?.end(taking.input ?? '');
  return undefined;
}

interface LineReporter {
  readonly take: (piece: Buffer) => void;
  readonly close: () => void;
}

/** The last line that was printed, once a second at most: a caller sees that it goes on, and what it does. */
function lineReporter(progress: (message: string) => void): LineReporter {
  let latest: string | undefined;
  const timer = setInterval(() => {
    if (latest !== undefined) {
      progress(latest);
      latest = undefined;
    }
  }, progressEveryMs);
  return {
    take(piece) {
      const line = piece.subarray(-2000).toString('utf8').trimEnd().split('\n').at(-1) ?? '';
      latest = line === '' ? latest : visible(line).slice(0, 400);
    },
    close: () => clearInterval(timer),
  };
}
