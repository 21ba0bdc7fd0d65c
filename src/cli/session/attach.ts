import { closeSync, constants, existsSync, openSync, readFileSync, writeSync } from 'node:fs';
import { constants as osConstants } from 'node:os';
import type { Readable } from 'node:stream';

import { CasemateError } from '../../base/errors.ts';
import { visible } from '../../base/text.ts';
import type { Invocation } from '../../engines/engine.ts';
import { spawnProcess } from '../../system/process.ts';

/** Starts what runs a command inside and lends it this terminal or these pipes, byte for byte. */

export interface AttachOptions {
  readonly tty: boolean;
  /** output without a terminal is kept here, up to `maxLogBytes` */
  readonly logFile: string;
  /** `none`: the command finds its standard input closed; default: ours */
  readonly input?: 'none' | undefined;
  /** time limit of the command, which the daemon keeps */
  readonly timeoutMs?: number | undefined;
  readonly stdout: NodeJS.WritableStream;
  readonly stderr: NodeJS.WritableStream;
}

const maxLogBytes = 4 * 1024 * 1024;
/** how long after its time limit a command may take to end */
const graceMs = 3000;
const forwarded = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2'] as const;

/** Resolves to the exit code of the command: its own, or 128 + n when signal n ended it. */
export async function attach(invocation: Invocation, options: AttachOptions): Promise<number> {
  const { file, args, env } = invocation;
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const log = options.tty ? undefined : openLog(options);
  // Without a terminal the child leads a session of its own: a signal then reaches it once, through us.
  const child = spawnProcess(file, args, {
    env: { ...env },
    detached: !options.tty,
    stdio: options.tty ? 'inherit' : [options.input === 'none' ? 'ignore' : 'inherit', 'pipe', 'pipe'],
  });
  const stopForwarding = forwardSignals((signal) => child.kill(signal), options.tty);
  let fault: CasemateError | undefined;
  const onFault = (error: NodeJS.ErrnoException): void => {
    fault = new CasemateError('OUTPUT_UNWRITABLE', `what the command printed is lost: ${error.code ?? error.message}`, {
      cause: error,
    });
  };
  if (child.stdout !== null && child.stderr !== null) {
    pass(child.stdout, options.stdout, { log, onFault });
    pass(child.stderr, options.stderr, { log, onFault });
  }
  child.once('error', (cause) => {
    reject(new CasemateError('TOOL_MISSING', `cannot start ${file}: ${cause.message}`, { cause }));
  });
  child.once('close', (code, signal) => {
    const exitCode = code ?? 128 + (signal === null ? 0 : osConstants.signals[signal]);
    if (fault !== undefined) {
      reject(fault);
    }
    resolve(startFailure(invocation, exitCode) ?? exitCode);
  });
  // The daemon ends the command in time; a process it left behind may still hold the pipes open.
  const giveUp =
    options.timeoutMs === undefined ? undefined : setTimeout(() => child.kill('SIGKILL'), options.timeoutMs + graceMs);
  try {
    return await promise;
  } finally {
    clearTimeout(giveUp);
    stopForwarding();
    log?.close();
  }
}

/** With a terminal the keys reach the command as bytes; what is sent to this process itself is passed on in both cases. */
function forwardSignals(send: (signal: NodeJS.Signals) => void, tty: boolean): () => void {
  const listeners = forwarded.map((signal) => {
    const listener = (): void => {
      // The terminal's own SIGINT and SIGQUIT went to the whole foreground group already.
      if (!tty || (signal !== 'SIGINT' && signal !== 'SIGQUIT')) {
        send(signal);
      }
    };
    process.on(signal, listener);
    return { signal, listener };
  });
  return () => listeners.forEach(({ signal, listener }) => process.off(signal, listener));
}

interface Log {
  readonly write: (piece: Buffer) => void;
  readonly close: () => void;
}

/** A full disk ends the keeping of output, not the command. */
function openLog({ logFile, stderr }: AttachOptions): Log | undefined {
  let room = maxLogBytes;
  const giveUp = (error: unknown): void => {
    room = 0;
    stderr.write(`casemate: output is not kept for casemate logs: ${visible(error instanceof Error ? error.message : '')}\n`);
  };
  let file: number;
  try {
    file = openSync(logFile, constants.O_WRONLY | constants.O_CREAT | constants.O_APPEND | constants.O_NOFOLLOW, 0o600);
  } catch (error) {
    giveUp(error);
    return undefined;
  }
  return {
    write(piece) {
      const kept = piece.subarray(0, room);
      room -= kept.length;
      if (kept.length > 0) {
        try {
          writeSync(file, kept);
        } catch (error) {
          giveUp(error);
        }
      }
    },
    close: () => closeSync(file),
  };
}

interface Passing {
  readonly log: Log | undefined;
  /** output could not be written, for another reason than a reader that went away */
  readonly onFault: (error: NodeJS.ErrnoException) => void;
}

/** Copies with back-pressure. A reader of ours that went away closes the pipe, so that the command notices. */
function pass(from: Readable, to: NodeJS.WritableStream, { log, onFault }: Passing): void {
  to.on('error', (error: NodeJS.ErrnoException) => {
    from.destroy();
    if (error.code !== 'EPIPE') {
      onFault(error);
    }
  });
  from.on('data', (piece: Buffer) => {
    log?.write(piece);
    if (!to.write(piece)) {
      from.pause();
      to.once('drain', () => from.resume());
    }
  });
}

/** Exit code of a command that the runtime could not start, as shells have it (POSIX 2.8.2); ours where it is neither. */
function startFailure({ errorLog }: Invocation, exitCode: number): number | undefined {
  if (exitCode === 0 || !existsSync(errorLog)) {
    return undefined;
  }
  const text = readFileSync(errorLog, 'utf8');
  if (!text.includes('exec failed') && !text.includes('executing processes')) {
    return undefined;
  }
  if (/executable file not found|no such file or directory|not found in \$PATH/.test(text)) {
    return 127;
  }
  return /permission denied|exec format error|is a directory/.test(text) ? 126 : 125;
}
