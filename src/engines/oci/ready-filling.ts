import { allDone } from '../../base/all-done.ts';
import { canWait } from './container.ts';
import { containerHost, type EngineContext } from './context.ts';
import { keepBlanks } from './home-disk.ts';
import { difference, readyTimes, type Waiting, type Wanted } from './ready-place.ts';
import { drop, isFit, kindOf, makeReady } from './ready.ts';
import type { Ready } from './ready-container.ts';

/**
 * Keeps containers waiting, up to the allowed number and of the kinds requested last, and ends those that are no longer usable.
 */

/** At most so many wait from now on, by the kinds that were asked for last. */
export function holdReady(context: EngineContext, count: number): void {
  const { place } = context;
  if (place.count !== count) {
    place.count = count;
    fillReady(context);
  }
}

/** Later, so that it does not work against the one that has just started. */
export function fillReadySoon(context: EngineContext): void {
  const { place, times = readyTimes } = context;
  clearTimeout(place.soon);
  place.soon = setTimeout(() => fillReady(context), times.refillMs).unref();
}

/** Makes what is missing and ends what nobody asks for any more. It does without where that fails. */
export function fillReady(context: EngineContext): void {
  const { place } = context;
  if (context.prepares !== true || place.isClosed) {
    return;
  }
  clearTimeout(place.soon);
  place.isStale = true;
  place.filling ??= refill(context)
    .catch(() => undefined)
    .finally(() => {
      place.filling = undefined;
      if (place.isStale) {
        fillReady(context);
      }
    });
  keepLooking(context);
}

/** One after the other: what is made ahead must not take the host from those who wait. */
async function refill(context: EngineContext): Promise<void> {
  const { place } = context;
  while (place.isStale && !place.isClosed) {
    place.isStale = false;
    const { missing, surplus } = difference(place);
    // oxlint-disable-next-line no-await-in-loop -- room first
    await allDone(surplus.map((waiting) => end(context, waiting)));
    for (const wanted of missing) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      if (place.isClosed || place.isStale || !(await makeFor(context, wanted))) {
        break;
      }
    }
  }
}

async function makeFor(context: EngineContext, { likeness, like }: Wanted): Promise<boolean> {
  const { place } = context;
  const host = await containerHost(context, like.runtime);
  if (!canWait(context, like.runtime)) {
    return false;
  }
  if (host.limitsHome) {
    keepHomes(context, like.limits.diskBytes);
  }
  const waiting: Waiting = { likeness, ready: makeReady(context, like, host).catch(() => undefined), isMade: false };
  place.waiting.add(waiting);
  waiting.isMade = (await waiting.ready) !== undefined;
  if (!waiting.isMade) {
    place.waiting.delete(waiting);
  }
  return waiting.isMade;
}

/** As many blank homes as containers. */
export function keepHomes({ place, layout, env, exclusive, behind }: EngineContext, sizeBytes: number): void {
  behind(exclusive('blanks', () => keepBlanks(layout.blanks, { env, sizeBytes, count: Math.max(1, place.count) })));
}

async function end(context: EngineContext, waiting: Waiting): Promise<void> {
  if (context.place.waiting.delete(waiting)) {
    await drop(context, await waiting.ready);
  }
}

/** While any wait: those that are no good any more end, and all of them when nobody has asked for long. */
function keepLooking(context: EngineContext): void {
  const { place, times = readyTimes } = context;
  place.looks ??= setInterval(() => {
    if (performance.now() - place.usedMs >= times.idleMs) {
      place.wanted = [];
      fillReady(context);
    }
    context.behind(Promise.all([...place.waiting].map((waiting) => look(context, waiting))));
    if (place.waiting.size === 0 && place.filling === undefined) {
      clearInterval(place.looks);
      place.looks = undefined;
    }
  }, times.lookMs).unref();
}

/** One whose image is gone or another, or that has died. */
async function look(context: EngineContext, waiting: Waiting): Promise<void> {
  const ready = waiting.isMade ? await waiting.ready : undefined;
  if (ready !== undefined && !(await isOfNow(context, ready))) {
    await end(context, waiting);
  }
}

async function isOfNow(context: EngineContext, ready: Ready): Promise<boolean> {
  const { spec } = ready.record;
  try {
    const host = await containerHost(context, spec.runtime);
    return ready.kind === (await kindOf(context, spec, host)) && (await isFit(ready));
  } catch {
    // Without its image, for example.
    return false;
  }
}

/** At the end of this process. */
export async function dropReady(context: EngineContext): Promise<void> {
  const { place } = context;
  place.isClosed = true;
  clearTimeout(place.soon);
  clearInterval(place.looks);
  await place.filling;
  await allDone([...place.waiting].map((waiting) => end(context, waiting)));
}
