import { chmod, rm } from 'node:fs/promises';
import { createServer, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

import { CasemateError, toCasemateError } from '../base/errors.ts';
import { listening } from '../system/listening.ts';
import { checkParams, readMessage } from './check-params.ts';
import { readLines, writeLine } from './lines.ts';
import type { CallerClaim } from './caller-view.ts';
import type { Calls, FromClient, Method, Question } from './protocol.ts';

/** The daemon's end of the control socket. A call on one connection never holds up another's. */
export interface CallContext {
  readonly ask: (question: Question) => Promise<unknown>;
  readonly progress: (text: string) => void;
  /** Runs when the caller's connection has ended, unless it was the daemon that ended it. */
  readonly onLost: (work: () => void) => void;
}

export type Calling = {
  readonly [M in Method]: (params: Calls[M]['params'], context: CallContext) => Promise<Calls[M]['result']>;
};

export interface ControlOptions {
  readonly path: string;
  readonly calls: Calling;
  /** what a caller has instead, that is not the person at this host */
  readonly callsOf: (claim: CallerClaim) => Calling;
  readonly hello: { readonly version: string; readonly build: string; readonly state?: string };
  readonly onActivity: () => void;
}

export interface Control {
  readonly connections: () => number;
  /** Ends those of callers that this says is over; the commands that they have under way end as those of lost callers do. */
  readonly endCallers: (isOver: (claim: CallerClaim) => boolean) => void;
  /** Takes no more callers and calls, and waits so long for answers under way. Connections stay: their end says it is over. */
  readonly finish: (patienceMs: number) => Promise<void>;
  /** Ends every connection. Callers see that the daemon is gone; the daemon does not take them for lost. */
  readonly close: () => Promise<void>;
}

/** The caller holds the daemon's lock, so a socket that is already there is a dead one. */
export async function listenForCalls(options: ControlOptions): Promise<Control> {
  const life: Life = { isEnding: false, underWay: new Set() };
  const open = new Map<Socket, Caller>();
  await rm(options.path, { force: true });
  requireShort(options.path);
  const server = createServer((socket) => {
    socket.once('close', () => {
      open.delete(socket);
      options.onActivity();
    });
    open.set(socket, serve(socket, options, life));
  });
  // It is bound at once; whatever else this process makes meanwhile is not of that mode.
  const mask = process.umask(0o177);
  const isBound = listening(server, { path: options.path });
  process.umask(mask);
  await isBound;
  await chmod(options.path, 0o600);
  return {
    connections: () => open.size,
    endCallers(isOver) {
      for (const [socket, { claim }] of open) {
        if (claim !== undefined && isOver(claim)) {
          socket.destroy();
        }
      }
    },
    async finish(patienceMs) {
      life.isEnding = true;
      server.close();
      const patience = new AbortController();
      await Promise.race([
        Promise.all(life.underWay),
        sleep(patienceMs, undefined, { signal: patience.signal }).catch(() => undefined),
      ]);
      patience.abort();
    },
    async close() {
      life.isEnding = true;
      server.close();
      await Promise.all([...open.keys()].map(endSocket));
    },
  };
}

/** unix(7): what an address has room for */
const longestSocketPath = 107;

function requireShort(path: string): void {
  const length = Buffer.byteLength(path);
  if (length > longestSocketPath) {
    throw new CasemateError(
      'PATH_INVALID',
      `the control socket ${path} has ${length} bytes in its path, where ${longestSocketPath} can be`,
      {
        hint: 'Set CASEMATE_HOME, or XDG_RUNTIME_DIR, to a shorter path.',
      },
    );
  }
}

interface Life {
  /** No call is taken any more, and a connection that ends now says nothing about its caller. */
  isEnding: boolean;
  /** calls that are not answered yet */
  readonly underWay: Set<Promise<void>>;
}

/** What was written is sent; a caller that does not read it is not waited for. */
async function endSocket(socket: Socket): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  socket.once('close', () => resolve());
  socket.end();
  const timer = setTimeout(() => socket.destroy(), 200);
  await promise;
  clearTimeout(timer);
}

function serve(socket: Socket, options: ControlOptions, life: Life): Caller {
  const caller: Caller = { socket, answers: new Map(), lost: [], hasEnded: false, calls: undefined, claim: undefined };
  socket.on('error', () => undefined);
  socket.once('close', () => {
    caller.hasEnded = true;
    caller.answers.forEach((resolve) => resolve(undefined));
    if (!life.isEnding) {
      caller.lost.forEach((work) => work());
    }
  });
  writeLine(socket, { type: 'hello', ...options.hello, pid: process.pid });
  readLines(socket, (raw) => {
    options.onActivity();
    const message = readMessage(raw);
    if (message === undefined) {
      socket.destroy();
    } else if (message.type === 'answer') {
      caller.answers.get(message.id)?.(message.value);
      caller.answers.delete(message.id);
    } else if (message.type === 'caller') {
      // Once: a connection that was narrowed stays so.
      if (caller.calls === undefined) {
        caller.claim = message.caller;
        caller.calls = madeOnce(() => options.callsOf(message.caller));
      } else {
        socket.destroy();
      }
    } else {
      const work = answer(message, { calls: (caller.calls ??= () => options.calls), caller, life });
      life.underWay.add(work);
      void work.then(() => life.underWay.delete(work));
    }
  });
  return caller;
}

interface Caller {
  readonly socket: Socket;
  /** who waits for the answer to the question of a call, by the call's id */
  readonly answers: Map<number, (value: unknown) => void>;
  readonly lost: (() => void)[];
  hasEnded: boolean;
  /** chosen by the first message; `undefined`: nothing was said yet */
  calls: (() => Calling) | undefined;
  /** for whom it acts, where that is not the person at this host */
  claim: CallerClaim | undefined;
}

function contextOf(id: number, caller: Caller, life: Life): CallContext {
  const { socket, answers, lost } = caller;
  return {
    async ask(question) {
      if (caller.hasEnded) {
        return undefined;
      }
      const { promise, resolve } = Promise.withResolvers<unknown>();
      answers.set(id, resolve);
      writeLine(socket, { type: 'ask', id, question });
      return await promise;
    },
    progress: (text) => writeLine(socket, { type: 'progress', id, text }),
    onLost(work) {
      if (!caller.hasEnded) {
        lost.push(work);
      } else if (!life.isEnding) {
        work();
      }
    },
  };
}

/** At the first call, which is then answered with what fails: a connection that cannot be narrowed must not stay a person's. */
function madeOnce(make: () => Calling): () => Calling {
  let made: Calling | undefined;
  return () => (made ??= make());
}

interface Answering {
  readonly calls: () => Calling;
  readonly caller: Caller;
  readonly life: Life;
}

async function answer(message: Extract<FromClient, { type: 'call' }>, { calls, caller, life }: Answering): Promise<void> {
  const { id } = message;
  try {
    if (life.isEnding) {
      throw new CasemateError('DAEMON_UNREACHABLE', 'the daemon is about to end', {
        hint: 'Run the command again: another is started.',
      });
    }
    const { method, params } = checkParams(message.method, message.params);
    // oxlint-disable-next-line no-unsafe-type-assertion -- the form of these very parameters was just checked
    const call = calls()[method] as (params: unknown, context: CallContext) => Promise<unknown>;
    writeLine(caller.socket, { type: 'result', id, value: await call(params, contextOf(id, caller, life)) });
  } catch (thrown) {
    const error = toCasemateError(thrown);
    writeLine(caller.socket, { type: 'error', id, error: { code: error.code, message: error.message, hint: error.hint } });
  }
}
