import { spawn, type ChildProcess, type SpawnOptions } from 'node:child_process';

import { CasemateError } from '../base/errors.ts';
import { gather } from '../base/gather.ts';

/** Starts programs from argument lists. No other file of this project starts a process, and nothing here uses a shell. */

export interface RunOptions {
  readonly cwd?: string | undefined;
  /** The whole environment of the program; nothing is inherited beside it. */
  readonly env: Readonly<Record<string, string>>;
  readonly input?: string | Uint8Array | undefined;
  readonly timeoutMs?: number | undefined;
  /** Output past this many bytes a stream is dropped and `truncated` is set. Default 16 MiB. */
  readonly maxOutputBytes?: number | undefined;
  readonly uid?: number | undefined;
  readonly gid?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface RunResult {
  readonly exitCode: number;
  readonly signal: NodeJS.Signals | undefined;
  readonly stdout: Buffer;
  readonly stderr: Buffer;
  readonly truncated: boolean;
}

/** What starts a process: a parameter with a default wherever a test must vary it. */
export type Spawn = (file: string, args: readonly string[], options: SpawnOptions) => ChildProcess;

export const spawnProcess: Spawn = (file, args, options) => spawn(file, args, { ...options, shell: false });

/**
 * Runs a program to its end. A non-zero exit is a result, not an error. Throws `TOOL_MISSING` when it cannot be
 * started, `TIMED_OUT` after `timeoutMs` (the program is killed), the abort reason when `signal` aborts.
 */
export async function run(file: string, args: readonly string[], options: RunOptions): Promise<RunResult> {
  const { cwd, env, uid, gid, signal, timeoutMs, input, maxOutputBytes = 16 * 1024 * 1024 } = options;
  signal?.throwIfAborted();
  const { promise, resolve, reject } = Promise.withResolvers<RunResult>();
  const child = spawnProcess(file, args, { cwd, env, uid, gid, stdio: ['pipe', 'pipe', 'pipe'] });
  const stdout = collect(maxOutputBytes);
  const stderr = collect(maxOutputBytes);
  let timedOut = false;
  const timer =
    timeoutMs === undefined
      ? undefined
      : setTimeout(() => {
          timedOut = true;
          end();
        }, timeoutMs);
  const end = (): void => endNow(child);
  signal?.addEventListener('abort', end, { once: true });
  child.stdout?.on('data', stdout.take);
  child.stderr?.on('data', stderr.take);
  // A program may end without reading its input; that is its right.
  child.stdin?.on('error', () => undefined);
  child.stdin?.end(input ?? '');
  child.once('error', (error) => {
    reject(new CasemateError('TOOL_MISSING', `cannot start ${file}: ${error.message}`, { cause: error }));
  });
  child.once('close', (code, killedBy) => {
    if (signal?.aborted === true) {
      reject(signal.reason);
    } else if (timedOut) {
      reject(new CasemateError('TIMED_OUT', `${file} did not end within ${timeoutMs} ms`));
    } else {
      const truncated = stdout.truncated() || stderr.truncated();
      resolve({
        exitCode: code ?? 128,
        signal: killedBy ?? undefined,
        stdout: stdout.bytes(),
        stderr: stderr.bytes(),
        truncated,
      });
    }
  });
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', end);
  }
}

/** Ends a program at once. What it started may live on and hold its output open: nobody waits for that. */
export function endNow(child: ChildProcess): void {
  child.kill('SIGKILL');
  [child.stdout, child.stderr].forEach((stream) => stream?.destroy());
}

function collect(limit: number) {
  const held = gather();
  let dropped = false;
  return {
    take(piece: Buffer): void {
      const room = limit - held.size();
      dropped ||= piece.length > room;
      held.add(piece.subarray(0, Math.max(0, room)));
    },
    bytes: () => held.take(),
    truncated: () => dropped,
  };
}
