import { constants as osConstants } from 'node:os';
import type { Readable } from 'node:stream';

import type { CasemateError } from '../../base/errors.ts';
import { giveUpAfter } from '../../daemon/give-up.ts';
import { openOutputLog, type OutputLog } from '../../daemon/output-log.ts';
import { startFailure } from '../../daemon/start-failure.ts';
import type { Invocation } from '../../engines/engine.ts';
import { spawnProcess } from '../../system/process.ts';
import { unstarted, unwritable } from './tell-end.ts';

/** Starts the process that runs a command inside and lends it this terminal or these pipes, byte for byte. */

export interface AttachOptions {
  readonly tty: boolean;
  /** output without a terminal is kept here, up to a bound */
  readonly logFile: string;
  /** `none`: the command finds its standard input closed; default: ours */
  readonly input?: 'none' | undefined;
  /** time limit of the command, which the daemon keeps */
  readonly timeoutMs?: number | undefined;
  readonly stdout: NodeJS.WritableStream;
  readonly stderr: NodeJS.WritableStream;
}

const forwarded = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2'] as const;

/** Resolves to the exit code of the command: its own, or 128 + n when signal n ended it. */
export async function attach(invocation: Invocation, options: AttachOptions): Promise<number> {
  const { file, args, env } = invocation;
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const log = options.tty
    ? undefined
    : openOutputLog(options.logFile, (text) => void options.stderr.write(`casemate: ${text}\n`));
  // Without a terminal the child leads a session of its own: a signal then reaches it once, through us.
  const child = spawnProcess(file, args, {
    env: { ...env },
    detached: !options.tty,
    stdio: options.tty ? 'inherit' : [options.input === 'none' ? 'ignore' : 'inherit', 'pipe', 'pipe'],
  });
  const stopForwarding = forwardSignals((signal) => child.kill(signal), options.tty);
  let fault: CasemateError | undefined;
  const onFault = (error: NodeJS.ErrnoException): void => {
    fault = unwritable(error.code ?? error.message, error);
  };
  if (child.stdout !== null && child.stderr !== null) {
    pass(child.stdout, options.stdout, { log, onFault });
    pass(child.stderr, options.stderr, { log, onFault });
  }
  child.once('error', (cause) => {
    reject(unstarted(file, cause.message, cause));
  });
  child.once('close', (code, signal) => {
    const exitCode = code ?? 128 + (signal === null ? 0 : osConstants.signals[signal]);
    if (fault !== undefined) {
      reject(fault);
    }
    resolve(startFailure(invocation, exitCode) ?? exitCode);
  });
  const stopWaiting = giveUpAfter(child, options.timeoutMs);
  try {
    return await promise;
  } finally {
    stopWaiting();
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

interface Passing {
  readonly log: OutputLog | undefined;
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
