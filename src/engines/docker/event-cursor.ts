import { engineTime } from './told-once.ts';

/**
 * The moment from which an engine's events are requested, so that events between two connections are delivered on the second.
 */
export interface EventCursor {
  /** For a new connection, as `since` takes it; `undefined` for the first one, which tells what happens from now on. */
  readonly connect: () => string | undefined;
  /** Whether something of that moment was not told on an earlier connection. On one, what was done together may come in any order. */
  readonly isAhead: (at: string) => boolean;
}

/** `nowMs`: of the clock that the engine has, too. */
export function eventCursor(nowMs: () => number): EventCursor {
  /** of the first connection: one that ends before it has told anything is followed from its beginning */
  let begun: string | undefined;
  let from: string | undefined;
  let newest: string | undefined;
  return {
    connect() {
      from = newest ?? begun;
      begun ??= engineTime(nowMs());
      return from;
    },
    isAhead(at) {
      if (from !== undefined && at <= from) {
        return false;
      }
      newest = newest === undefined || at > newest ? at : newest;
      return true;
    },
  };
}
