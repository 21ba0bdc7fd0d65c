import { CasemateError } from '../base/errors.ts';
import type { CallContext } from './server.ts';

/** Notices callers that no longer wait for their answer: nothing is made or kept for them. */

/** Whether the caller of this call hung up since. */
export function goneOf(call: CallContext): () => boolean {
  let hasGone = false;
  call.onLost(() => {
    hasGone = true;
  });
  return () => hasGone;
}

export function callerGone(): CasemateError {
  return new CasemateError('TOO_MANY', 'the caller has gone');
}

/** Whoever has gone waits no more. */
export function lineOf(waitMs: number | undefined, call: CallContext) {
  const gone = new AbortController();
  if (waitMs !== undefined) {
    call.onLost(() => gone.abort(callerGone()));
  }
  return { waitMs, signal: gone.signal, tell: call.progress };
}
