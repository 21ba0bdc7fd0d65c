import { constants } from 'node:os';

import { CasemateError } from '../base/errors.ts';
import { visible } from '../base/text.ts';
import type { Client } from '../daemon/client.ts';
import { linkExecution } from '../daemon/execution-link.ts';
import { openOutputLog } from '../daemon/output-log.ts';
import type { OpenAnswer } from '../daemon/protocol.ts';
import { startFailure } from '../daemon/start-failure.ts';
import { spawnProcess } from '../system/process.ts';
import { boundedText } from './bounded-text.ts';
import type { ToolContext } from './tool.ts';

/** A command in a sandbox whose output is an answer: bounded, kept for the logs, ended when its caller cancels. */
export interface RunOptions {
  readonly input?: string | undefined;
  readonly maxOutputBytes: number;
  /** Is given each piece of standard output as it comes. */
  readonly onOutput?: ((piece: Buffer) => void) | undefined;
}

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

const progressEveryMs = 1000;

/** Throws the abort reason when the caller cancels: the command is over then. */
export async function runCommand(
  context: ToolContext,
  { client, opened }: { readonly client: Client; readonly opened: OpenAnswer },
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
    exitCode = await attached(context, opened, { ...options, stdout: stdout.take, stderr: stderr.take });
  } finally {
    closed = await link.reportEnd(exitCode);
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

interface Taking extends RunOptions {
  readonly stdout: (piece: Buffer) => void;
  readonly stderr: (piece: Buffer) => void;
}

async function attached(context: ToolContext, { invocation, logFile }: OpenAnswer, taking: Taking): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const log = openOutputLog(logFile, (text) => context.progress(text));
  const { file, args, env } = invocation;
  const child = spawnProcess(file, args, { env: { ...env }, detached: true, stdio: ['pipe', 'pipe', 'pipe'] });
  const cancel = (): void => void child.kill('SIGKILL');
  context.signal.addEventListener('abort', cancel, { once: true });
  const reporter = lineReporter(context.progress);
  child.stdout?.on('data', (piece: Buffer) => {
    log?.write(piece);
    taking.stdout(piece);
    taking.onOutput?.(piece);
    reporter.take(piece);
  });
  child.stderr?.on('data', (piece: Buffer) => {
    log?.write(piece);
    taking.stderr(piece);
    reporter.take(piece);
  });
  // A command may end without reading its input; that is its right.
  child.stdin?.on('error', () => undefined);
  child.stdin?.end(taking.input ?? '');
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
    return await promise;
  } finally {
    reporter.close();
    context.signal.removeEventListener('abort', cancel);
    log?.close();
  }
}

/** The last line that was printed, once a second at most: a caller sees that it goes on, and what it does. */
function lineReporter(progress: (message: string) => void): { take: (piece: Buffer) => void; close: () => void } {
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
