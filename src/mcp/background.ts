import { CasemateError } from '../base/errors.ts';
import type { Background, Ended } from './tool-context.ts';

/** Of one server: work of its callers that goes on after its call was answered. */
interface Running {
  readonly cancel: AbortController;
  readonly end: Promise<Ended>;
  hasEnded: boolean;
}

const mostRunning = 20;
/** ended work whose result may still be asked for */
const mostKept = 100;

export function createBackground(): Background {
  const all = new Map<string, Running>();
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
      if ([...all.values()].filter(({ hasEnded }) => !hasEnded).length >= mostRunning) {
        throw new CasemateError('TOO_MANY', `${mostRunning} commands are running in the background already`, {
          hint: 'Wait for one, or interrupt it.',
        });
      }
      const cancel = new AbortController();
      const name = Promise.withResolvers<string>();
      const end = work({ ...context, signal: cancel.signal, progress: () => undefined }, name.resolve).then(
        (result): Ended => ({ kind, result }),
        (error: unknown): Ended => ({ kind, error }),
      );
      const running: Running = { cancel, end, hasEnded: false };
      void end.then(() => {
        running.hasEnded = true;
      });
      // What failed before it had a name is the failure of this call.
      const id = await Promise.race([name.promise, end.then(({ error }) => Promise.reject(error))]);
      all.set(id, running);
      const old = [...all].filter(([, { hasEnded }]) => hasEnded).map(([key]) => key);
      old.slice(0, Math.max(0, old.length - mostKept)).forEach((key) => all.delete(key));
      return id;
    },
    async wait(id, timeoutMs, signal) {
      const { end } = find(id);
      const { promise, resolve } = Promise.withResolvers<undefined>();
      const timer = setTimeout(() => resolve(undefined), timeoutMs);
      const stop = (): void => resolve(undefined);
      signal.addEventListener('abort', stop, { once: true });
      try {
        return await Promise.race([end, promise]);
      } finally {
        clearTimeout(timer);
        signal.removeEventListener('abort', stop);
      }
    },
    interrupt: (id) => find(id).cancel.abort(new CasemateError('TIMED_OUT', 'it was interrupted')),
    close: () => all.forEach(({ cancel }) => cancel.abort(new CasemateError('TIMED_OUT', 'its caller has gone'))),
  };
}
