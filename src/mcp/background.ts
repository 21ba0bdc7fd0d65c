import { CasemateError } from '../base/errors.ts';
import { charactersIn } from './answer-size.ts';
import type { Background, Ended, ToolContext, Work } from './tool-context.ts';

/** Work of a server's callers that continues after their call was answered. */
interface Running {
  readonly cancel: AbortController;
  readonly end: Promise<Ended>;
  /** of its result, in characters, when it has ended */
  size: number;
}

const mostRunning = 20;
/** of all connections of a caller */
const mostOfCaller = 64;
/** ended work whose result may still be asked for, in number and in characters */
const mostKept = 100;
const mostKeptCharacters = 16 * 1024 * 1024;
const mostCharactersOfCaller = 32 * 1024 * 1024;

/** What one connection of a caller has going on, and keeps. */
interface Part {
  readonly running: () => number;
  readonly characters: () => number;
}

/** Those of one caller, which has several connections. */
export type CallersParts = Set<Part>;

export function createBackground(parts: CallersParts = new Set()): Background {
  const all = new Map<string, Running>();
  /** what has not ended, also what has no name yet: it counts, and ends with its caller */
  const going = new Set<Running>();
  let isClosed = false;
  const own: Part = { running: () => going.size, characters: () => sum([...all.values()].map(({ size }) => size)) };
  const forget = (): void => {
    const others = sum([...parts].map((part) => (part === own ? 0 : part.characters())));
    forgetOldest(all, going, Math.min(mostKeptCharacters, mostCharactersOfCaller - others));
  };
  const find = (id: string): Running => {
    const running = all.get(id);
    if (running === undefined) {
      throw new CasemateError('USAGE', `nothing that was started here has the id "${id.slice(0, 40)}"`, {
        hint: 'It is known to the server that started it, until that ends. get_session_logs has what it printed.',
      });
    }
    return running;
  };
  return {
    async start(kind, context, work) {
      requireRoom(parts, going);
      if (isClosed) {
        throw callerGone();
      }
      const { running, named } = begin(kind, context, work);
      going.add(running);
      parts.add(own);
      void running.end.then(({ result }) => {
        going.delete(running);
        running.size = charactersIn(result);
        forget();
      });
      const id = await named;
      all.set(id, running);
      // It may have ended before it had its name here.
      forget();
      return id;
    },
    async wait(id, timeoutMs, signal) {
      return await endWithin(find(id).end, timeoutMs, signal);
    },
    interrupt: (id) => find(id).cancel.abort(new CasemateError('TIMED_OUT', 'it was interrupted')),
    isBusy: () => going.size > 0,
    close() {
      isClosed = true;
      parts.delete(own);
      going.forEach(({ cancel }) => cancel.abort(callerGone()));
    },
  };
}

function requireRoom(parts: CallersParts, going: ReadonlySet<Running>): void {
  const [most, whose] =
    sum([...parts].map(({ running }) => running())) >= mostOfCaller
      ? [mostOfCaller, ' of this caller']
      : going.size >= mostRunning
        ? [mostRunning, '']
        : [];
  if (most !== undefined) {
    throw new CasemateError('TOO_MANY', `${most} commands${whose} are running in the background already`, {
      hint: 'Wait for one, or interrupt it.',
    });
  }
}

async function endWithin(end: Promise<Ended>, timeoutMs: number, signal: AbortSignal): Promise<Ended | undefined> {
  const { promise, resolve } = Promise.withResolvers<undefined>();
  const timer = setTimeout(() => resolve(undefined), timeoutMs);
  const stop = (): void => resolve(undefined);
  signal.addEventListener('abort', stop, { once: true });
  if (signal.aborted) {
    stop();
  }
  try {
    return await Promise.race([end, promise]);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', stop);
  }
}

/** The newest stays, however long it is. */
function forgetOldest(all: Map<string, Running>, going: ReadonlySet<Running>, mostCharacters: number): void {
  let [number, characters] = [0, 0];
  for (const [id, { size }] of [...all].filter(([, one]) => !going.has(one)).toReversed()) {
    number += 1;
    characters += size;
    if (number > mostKept || (number > 1 && characters > mostCharacters)) {
      all.delete(id);
    }
  }
}

/** Until it has a name nobody could interrupt it by one: it ends with the call that started it. */
function begin(kind: string, context: ToolContext, work: Work): { readonly running: Running; readonly named: Promise<string> } {
  context.signal.throwIfAborted();
  const cancel = new AbortController();
  const giveUp = (): void => cancel.abort(context.signal.reason);
  context.signal.addEventListener('abort', giveUp, { once: true });
  const name = Promise.withResolvers<string>();
  const end = work({ ...context, signal: cancel.signal, progress: () => undefined, spend: () => undefined }, name.resolve).then(
    (result): Ended => ({ kind, result }),
    (error: unknown): Ended => ({ kind, error }),
  );
  // What failed before it had a name is the failure of that call.
  const named = Promise.race([name.promise, end.then(({ error }) => Promise.reject(error))]);
  return { running: { cancel, end, size: 0 }, named: named.finally(() => context.signal.removeEventListener('abort', giveUp)) };
}

function callerGone(): CasemateError {
  return new CasemateError('TIMED_OUT', 'its caller has gone');
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((all, one) => all + one, 0);
}
