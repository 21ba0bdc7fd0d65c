import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

import { CasemateError, isErrorCode } from '../base/errors.ts';
import { isErrno } from '../system/files.ts';
import { readLines, writeLine } from './lines.ts';
import type { CallerClaim } from './caller-view.ts';
import type { Calls, FromDaemon, Method, Question } from './protocol.ts';

/** The caller's end of the control socket: finds or starts the daemon, makes calls, and answers its questions. */
export interface Client {
  readonly call: <M extends Method>(method: M, params: Calls[M]['params']) => Promise<Calls[M]['result']>;
  readonly hello: Extract<FromDaemon, { type: 'hello' }>;
  /** Resolves when the connection has ended, whoever ended it. */
  readonly whenClosed: () => Promise<void>;
  readonly close: () => void;
}

export interface ClientOptions {
  readonly socketPath: string;
  readonly answer: (question: Question) => Promise<unknown>;
  readonly progress?: ((text: string) => void) | undefined;
  /** Starts a daemon that will listen on `socketPath`; `undefined`: do not start one. */
  readonly startDaemon?: (() => Promise<StartedDaemon>) | undefined;
  /** A daemon that fails says so at once: this is for a machine that is slow. Default: 60000 */
  readonly timeoutMs?: number | undefined;
  /** acts for this caller, with no more than it may */
  readonly caller?: CallerClaim | undefined;
}

export interface StartedDaemon {
  /** The process that was started has ended: it failed, or another daemon was faster and may be ending by now. */
  readonly hasEnded: () => boolean;
  /** why it failed; `undefined` while it lives or when it made way for another */
  readonly fault: () => CasemateError | undefined;
}

/** Throws `DAEMON_UNREACHABLE` when none runs and none may be or could be started. */
export async function connectClient(options: ClientOptions): Promise<Client> {
  const { startDaemon, timeoutMs = 60_000 } = options;
  const first = await tryGreet(options);
  if (first !== undefined) {
    return first;
  }
  if (startDaemon === undefined) {
    throw new CasemateError('DAEMON_UNREACHABLE', 'no daemon is running', {
      hint: 'It starts with the next command that needs it.',
    });
  }
  return await startAndConnect(options, startDaemon, timeoutMs);
}

async function startAndConnect(
  options: ClientOptions,
  startDaemon: () => Promise<StartedDaemon>,
  timeoutMs: number,
): Promise<Client> {
  const end = performance.now() + timeoutMs;
  let started = await startDaemon();
  for (let waitMs = 5; performance.now() < end; waitMs = Math.min(waitMs * 1.5, 100)) {
    // oxlint-disable-next-line no-await-in-loop -- waiting is the point
    await sleep(waitMs);
    // oxlint-disable-next-line no-await-in-loop -- as above
    const client = await tryGreet(options);
    if (client !== undefined) {
      return client;
    }
    const fault = started.fault();
    if (fault !== undefined) {
      throw fault;
    }
    // It made way for one that was just ending itself: now it is our turn.
    // oxlint-disable-next-line no-await-in-loop -- as above
    started = started.hasEnded() ? await startDaemon() : started;
  }
  throw new CasemateError('DAEMON_UNREACHABLE', `the daemon did not start within ${timeoutMs / 1000} s`, {
    hint: 'Its last words are in daemon.log in the state folder (casemate doctor shows where).',
  });
}

/** `undefined` where nobody listens, and where who listened ended before it said who it is. */
async function tryGreet(options: ClientOptions): Promise<Client | undefined> {
  const socket = await tryConnect(options.socketPath);
  return socket === undefined ? undefined : await greet(socket, options).catch(() => undefined);
}

/** Throws `STORE_FAILED` where the socket is somebody else's: whether a daemon runs there cannot be told, and none of ours can. */
async function tryConnect(path: string): Promise<Socket | undefined> {
  const { promise, resolve, reject } = Promise.withResolvers<Socket | undefined>();
  const socket = connect(path);
  socket.once('connect', () => resolve(socket));
  socket.once('error', (error) => (isErrno(error, 'EACCES') ? reject(notOurs(path, error)) : resolve(undefined)));
  return await promise;
}

function notOurs(path: string, cause: Error): CasemateError {
  return new CasemateError('STORE_FAILED', `the socket of the daemon may not be used: ${path}: permission denied`, {
    cause,
    hint: 'It is in a folder of another user, to which CASEMATE_HOME, XDG_RUNTIME_DIR or HOME leads; after su or sudo these may be left over. Unset or change them.',
  });
}

export function lostBeforeAnswer(): CasemateError {
  return new CasemateError('DAEMON_UNREACHABLE', 'the daemon ended before it answered');
}

interface Pending {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

async function greet(socket: Socket, options: ClientOptions): Promise<Client> {
  const pending = new Map<number, Pending>();
  const hello = Promise.withResolvers<Extract<FromDaemon, { type: 'hello' }>>();
  const closed = Promise.withResolvers<void>();
  let awaited = false;
  // An idle connection does not keep a command from ending, unless its end is what the command waits for.
  const idle = (): void => void (awaited || socket.unref());
  readLines(socket, (message) => {
    // oxlint-disable-next-line no-unsafe-type-assertion -- our own daemon, behind a socket only this user can open
    receive(message as FromDaemon, { pending, hello: hello.resolve, socket, options, idle });
  });
  socket.on('error', () => undefined);
  socket.once('close', () => {
    const lost = lostBeforeAnswer();
    hello.reject(lost);
    for (const { reject } of pending.values()) {
      reject(lost);
    }
    closed.resolve();
  });
  hello.promise.catch(() => undefined);
  const greeting = await hello.promise;
  if (options.caller !== undefined) {
    writeLine(socket, { type: 'caller', caller: options.caller });
  }
  idle();
  let nextId = 1;
  return {
    hello: greeting,
    async whenClosed() {
      awaited = true;
      socket.ref();
      await closed.promise;
    },
    // Nobody waits for the daemon to hang up as well: what is asked for has been answered.
    close: () => socket.destroySoon(),
    async call(method, params) {
      const id = nextId;
      nextId += 1;
      const { promise, resolve, reject } = Promise.withResolvers<unknown>();
      if (socket.destroyed) {
        throw new CasemateError('DAEMON_UNREACHABLE', 'the daemon ended before it was asked');
      }
      pending.set(id, { resolve, reject });
      socket.ref();
      writeLine(socket, { type: 'call', id, method, params });
      // oxlint-disable-next-line no-unsafe-type-assertion -- the table of calls is shared with the daemon of the same build
      return (await promise) as never;
    },
  };
}

interface Receiving {
  readonly pending: Map<number, Pending>;
  readonly hello: (message: Extract<FromDaemon, { type: 'hello' }>) => void;
  readonly socket: Socket;
  readonly options: ClientOptions;
  /** Nothing is waited for any more. */
  readonly idle: () => void;
}

function receive(message: FromDaemon, { pending, hello, socket, options, idle }: Receiving): void {
  if (message.type === 'hello') {
    hello(message);
    return;
  }
  if (message.type === 'progress') {
    options.progress?.(message.text);
    return;
  }
  if (message.type === 'ask') {
    void options.answer(message.question).then(
      (value) => writeLine(socket, { type: 'answer', id: message.id, value }),
      () => writeLine(socket, { type: 'answer', id: message.id, value: undefined }),
    );
    return;
  }
  const waiting = pending.get(message.id);
  pending.delete(message.id);
  if (pending.size === 0) {
    idle();
  }
  if (message.type === 'result') {
    waiting?.resolve(message.value);
  } else {
    const { code, message: text, hint } = message.error;
    waiting?.reject(new CasemateError(isErrorCode(code) ? code : 'INTERNAL', text, { hint }));
  }
}
