import { chmod, rm } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';

import { toCasemateError } from '../base/errors.ts';
import { readLines, writeLine } from './lines.ts';
import type { Calls, FromClient, Method, Question } from './protocol.ts';

/** The daemon's end of the control socket. A call of one connection never holds up another's. */
export interface CallContext {
  readonly ask: (question: Question) => Promise<unknown>;
  readonly progress: (text: string) => void;
  /** Runs when the caller's connection has ended. */
  readonly onLost: (work: () => void) => void;
}

export type Calling = { readonly [M in Method]: (params: Calls[M]['params'], context: CallContext) => Promise<Calls[M]['result']> };

export interface ControlOptions {
  readonly path: string;
  readonly calls: Calling;
  readonly hello: { readonly version: string; readonly build: string };
  readonly onActivity: () => void;
}

export interface Control {
  readonly connections: () => number;
  /** No new callers. Those that are connected see the end of this process, not before. */
  readonly stopListening: () => void;
  readonly close: () => Promise<void>;
}

/** The caller holds the daemon's lock, so a socket that is already there is a dead one. */
export async function listenForCalls(options: ControlOptions): Promise<Control> {
  const open = new Set<Socket>();
  await rm(options.path, { force: true });
  const server = createServer((socket) => {
    open.add(socket);
    socket.once('close', () => {
      open.delete(socket);
      options.onActivity();
    });
    serve(socket, options);
  });
  const mask = process.umask(0o177);
  try {
    await listen(server, options.path);
  } finally {
    process.umask(mask);
  }
  await chmod(options.path, 0o600);
  return {
    connections: () => open.size,
    stopListening() {
      server.close();
    },
    async close() {
      const { promise, resolve } = Promise.withResolvers<void>();
      server.close(() => resolve());
      open.forEach((socket) => socket.destroy());
      await promise;
    },
  };
}

async function listen(server: Server, path: string): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject);
  server.listen(path, resolve);
  await promise;
}

function serve(socket: Socket, options: ControlOptions): void {
  const answers = new Map<number, (value: unknown) => void>();
  const lost: (() => void)[] = [];
  let ended = false;
  socket.on('error', () => undefined);
  socket.once('close', () => {
    ended = true;
    answers.forEach((resolve) => resolve(undefined));
    lost.forEach((work) => work());
  });
  writeLine(socket, { type: 'hello', ...options.hello, pid: process.pid });
  readLines(socket, (raw) => {
    options.onActivity();
    // oxlint-disable-next-line no-unsafe-type-assertion -- whoever can open the socket is the user; parameters are checked where they are used
    const message = raw as FromClient;
    if (message.type === 'answer') {
      answers.get(message.id)?.(message.value);
      answers.delete(message.id);
      return;
    }
    const context: CallContext = {
      async ask(question) {
        const { promise, resolve } = Promise.withResolvers<unknown>();
        if (ended) {
          return undefined;
        }
        answers.set(message.id, resolve);
        writeLine(socket, { type: 'ask', id: message.id, question });
        return await promise;
      },
      progress: (text) => writeLine(socket, { type: 'progress', id: message.id, text }),
      onLost(work) {
        if (ended) {
          work();
        } else {
          lost.push(work);
        }
      },
    };
    void answer(socket, message, { calls: options.calls, context });
  });
}

async function answer(
  socket: Socket,
  message: Extract<FromClient, { type: 'call' }>,
  parts: { readonly calls: Calling; readonly context: CallContext },
): Promise<void> {
  const { id, method, params } = message;
  try {
    const value = await invoke(parts.calls, { method, params, context: parts.context });
    writeLine(socket, { type: 'result', id, value });
  } catch (thrown) {
    const error = toCasemateError(thrown);
    writeLine(socket, { type: 'error', id, error: { code: error.code, message: error.message, hint: error.hint } });
  }
}

interface Invoked {
  readonly method: Method;
  readonly params: unknown;
  readonly context: CallContext;
}

async function invoke(calls: Calling, { method, params, context }: Invoked): Promise<unknown> {
  const call = Object.hasOwn(calls, method) ? calls[method] : undefined;
  if (call === undefined) {
    throw toCasemateError(new Error(`the daemon has no call "${String(method)}"`));
  }
  // oxlint-disable-next-line no-unsafe-type-assertion -- method and parameters come from one row of the table of calls
  return await (call as (params: unknown, context: CallContext) => Promise<unknown>)(params, context);
}
