import type { ChildProcess } from 'node:child_process';

import { CasemateError, toCasemateError } from '../../base/errors.ts';
import { isErrno } from '../../system/files.ts';
import { spawnProcess } from '../../system/process.ts';
import type { Inside, InsideOptions } from '../target.ts';

/**
 * Runs the command that starts someone else's sandbox, as a process group of its own, so that what it started ends with it. Its
 * output is bounded; a command that floods is ended. Never throws for an exit code.
 */
export interface ForeignRun extends InsideOptions {
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
  /** whom it runs as; default: the caller */
  readonly as?: Identity | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface Identity {
  readonly uid: number;
  readonly gid: number;
}

const mostBytes = 16 * 1024 * 1024;
/** From the request to end to the end: time for a tool to take its sandbox down. */
const graceMs = 3000;

export async function runForeign(words: readonly string[], options: ForeignRun): Promise<Inside> {
  options.signal?.throwIfAborted();
  const child = startForeign(words, options);
  const { promise, resolve, reject } = Promise.withResolvers<Inside>();
  let why: Error | undefined;
  const stop = (reason: Error): void => {
    why ??= reason;
    void endGroup(child);
  };
  const flood = new CasemateError('ENGINE_FAILED', `${words[0]} printed more than ${mostBytes / 1024 / 1024} MiB and was ended`);
  const out = gather(() => stop(flood));
  const err = gather(() => stop(flood));
  const timer = setTimeout(() => stop(overdue(words, options.timeoutMs)), options.timeoutMs);
  const abort = (): void => stop(abortReason(options.signal));
  options.signal?.addEventListener('abort', abort, { once: true });
  child.stdout?.on('data', out.take);
  child.stderr?.on('data', err.take);
  child.stdin?.on('error', () => undefined);
  child.stdin?.end(options.input ?? '');
  child.once('error', (error) => reject(notStarted(words, error)));
  child.once('close', (code) => {
    if (why === undefined) {
      resolve({ code: code ?? 128, out: out.bytes(), err: err.bytes() });
    } else {
      reject(why);
    }
  });
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    options.signal?.removeEventListener('abort', abort);
  }
}

/** Starts it and leaves its streams to the caller. */
export function startForeign(words: readonly string[], { cwd, env, as }: Omit<ForeignRun, 'timeoutMs'>): ChildProcess {
  const [file = '', ...args] = words;
  try {
    return spawnProcess(file, args, { cwd, env, detached: true, stdio: ['pipe', 'pipe', 'pipe'], ...as });
  } catch (thrown) {
    throw notStarted(words, thrown);
  }
}

/** Asks the whole group to end, then ends it. Its streams are closed in any case: somebody who left the group may hold them. */
export async function endGroup(child: ChildProcess): Promise<void> {
  signalGroup(child, 'SIGTERM');
  await Promise.race([closed(child), delay(graceMs)]);
  signalGroup(child, 'SIGKILL');
  await Promise.race([closed(child), delay(1000)]);
  for (const stream of [child.stdin, child.stdout, child.stderr]) {
    stream?.destroy();
  }
}

function signalGroup({ pid }: ChildProcess, signal: NodeJS.Signals): void {
  try {
    if (pid !== undefined) {
      process.kill(-pid, signal);
    }
  } catch {
    // Nobody is left in it.
  }
}

async function closed(child: ChildProcess): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) {
    await new Promise((resolve) => child.once('close', resolve));
  }
}

function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms).unref());
}

function overdue([file = '']: readonly string[], timeoutMs: number): CasemateError {
  return new CasemateError('TIMED_OUT', `${file} did not end within ${Math.round(timeoutMs / 1000)} s and was ended`);
}

function abortReason(signal: AbortSignal | undefined): Error {
  return signal?.reason instanceof Error ? signal.reason : new CasemateError('TIMED_OUT', 'the proof was broken off');
}

function notStarted([file = '']: readonly string[], error: unknown): CasemateError {
  const what = isErrno(error, 'ENOENT') ? 'there is no such program' : toCasemateError(error).message;
  return new CasemateError('TOOL_MISSING', `cannot start ${file}: ${what}`, { cause: error });
}

function gather(onFlood: () => void) {
  const pieces: Buffer[] = [];
  let size = 0;
  return {
    take(piece: Buffer): void {
      size += piece.length;
      if (size <= mostBytes) {
        pieces.push(piece);
      } else {
        onFlood();
      }
    },
    bytes: () => Buffer.concat(pieces),
  };
}
