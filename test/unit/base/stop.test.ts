import fc from 'fast-check';
import { expect, test } from 'vitest';

import { createStop, type StopSignal } from '../../../src/base/stop.ts';

/** One that does what is listed; the real one is what it is compared with. */
function played(stop: { readonly signal: StopSignal; readonly abort: (reason?: unknown) => void }, steps: readonly string[]) {
  const told: string[] = [];
  const listeners = new Map(['a', 'b', 'c'].map((name) => [name, () => void told.push(name)]));
  for (const step of steps) {
    const listener = listeners.get(step.at(-1) ?? '');
    if (listener === undefined) {
      stop.abort(step);
    } else if (step.startsWith('-')) {
      stop.signal.removeEventListener('abort', listener);
    } else {
      stop.signal.addEventListener('abort', listener, { once: true });
    }
  }
  return { told, aborted: stop.signal.aborted, reason: stop.signal.reason };
}

test('it tells what an AbortController would tell, in the same order', () => {
  const step = fc.constantFrom('+a', '+b', '+c', '-a', '-b', '-c', 'one', 'two');
  fc.assert(
    fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
      expect(played(createStop(), steps)).toEqual(played(new AbortController(), steps));
    }),
    { numRuns: 1000 },
  );
});

test('who is told may take another one off the list, and add one that is not told', () => {
  const { signal, abort } = createStop();
  const told: string[] = [];
  const second = (): void => void told.push('second');
  signal.addEventListener('abort', () => {
    told.push('first');
    signal.removeEventListener('abort', second);
    signal.addEventListener('abort', () => void told.push('late'));
  });
  signal.addEventListener('abort', second);
  abort();
  abort();
  expect(told).toEqual(['first']);
});
