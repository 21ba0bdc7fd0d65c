import { CasemateError } from '../../base/errors.ts';
import { formatDuration } from '../../base/units.ts';
import type { SandboxContext } from '../context.ts';
import type { HostShare } from './share-limits.ts';
import type { SandboxRow } from '../stored/store.ts';

/**
 * Finds room for one more sandbox within what all of them together may use. If there is none, a caller that is willing to wait
 * joins a queue, first come first served. One that waits for room in its own share holds up no one else.
 */
export interface Room {
  /** Throws `TOO_MANY` where there is none by then, with the place in the line and when to come again. */
  readonly enter: (wish: Wish) => Promise<Place>;
  /** Lets in who fits by now. Called when a sandbox has ended, and now and then. */
  readonly look: () => void;
  /** The same by what the policy says now. */
  readonly refresh: () => Promise<void>;
  readonly waiting: () => number;
}

export interface Wish {
  /** whose it will be; absent: the person's at this host */
  readonly caller?: string | undefined;
  /** to run, or only to be */
  readonly runs: boolean;
  /** how many sandboxes, those of its servers among them; default: 1 */
  readonly count?: number | undefined;
  /** what all together may take, as it was read just before; default: read now */
  readonly share?: HostShare | undefined;
  /** a sandbox that is there already and is started again */
  readonly id?: string | undefined;
  /** how long to wait in the line; default: not at all */
  readonly waitMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** is told the place in the line, at first and whenever it changes */
  readonly tell?: ((text: string) => void) | undefined;
}

/** Of a call. */
export interface Queued {
  /** how long to wait where there are as many as may be; default: not at all */
  readonly queueMs?: number | undefined;
}

/** Room that is taken, until the sandbox itself counts. */
export interface Place {
  /** what all may take together, as it was read when this was given */
  readonly share: HostShare;
  /** This sandbox is the one: it is not counted twice. */
  readonly is: (id: string) => void;
  readonly leave: () => void;
}

interface Taken {
  readonly wish: Wish;
  id: string | undefined;
}

interface Waiter {
  readonly wish: Wish;
  readonly letIn: (place: Place) => void;
  told: number;
}

interface Refusal {
  readonly text: string;
  /** who waits for this waits behind all others who do */
  readonly isForAll: boolean;
}

export const greatestWaitMs = 3_600_000;
const greatestLine = 100;
const greatestLineOfCaller = 10;
const live: readonly SandboxRow['state'][] = ['starting', 'running', 'stopping', 'removing'];

type RoomContext = Pick<SandboxContext, 'store' | 'clock' | 'share'>;

export function createRoom({ store, clock, share }: RoomContext): Room {
  const taken = new Set<Taken>();
  const line: Waiter[] = [];
  let limits: HostShare | undefined;
  const refusalOf = (wish: Wish, bounds: HostShare): Refusal | undefined =>
    refusal(wish, bounds, { taken: [...taken], rows: store.list() });
  const take = (wish: Wish, bounds: HostShare): Place => {
    const one: Taken = { wish, id: wish.id };
    taken.add(one);
    return {
      share: bounds,
      is: (id) => void (one.id = id),
      leave() {
        if (taken.delete(one)) {
          look();
        }
      },
    };
  };
  const look = (): void => {
    if (limits === undefined || line.length === 0) {
      return;
    }
    let isFull = false;
    // A copy: those who are let in leave the line.
    for (const waiter of line.slice()) {
      const reason = refusalOf(waiter.wish, limits);
      if (reason === undefined && !(isFull && waiter.wish.runs)) {
        line.splice(line.indexOf(waiter), 1);
        waiter.letIn(take(waiter.wish, limits));
      } else {
        isFull ||= reason?.isForAll ?? true;
      }
    }
    line.forEach(tellPlace);
  };
  const noRoom = (reason: Refusal, wish: Wish): CasemateError =>
    refused(reason, wish, { before: line.length, retryMs: retryMs(store.list(), clock.nowMs()) });
  return {
    look,
    waiting: () => line.length,
    async refresh() {
      limits = await share();
      look();
    },
    async enter(wish) {
      limits = wish.share ?? (await share());
      look();
      const reason = refusalOf(wish, limits) ?? (wish.runs && line.some(({ wish: { runs } }) => runs) ? behindOthers : undefined);
      if (reason === undefined) {
        return take(wish, limits);
      }
      if ((wish.waitMs ?? 0) <= 0) {
        throw noRoom(reason, wish);
      }
      requireLine(line, wish);
      return await waitIn(line, wish, () => noRoom(refusalOf(wish, limits ?? never) ?? reason, wish));
    },
  };
}

/** When the next sandbox ends by itself, within bounds: others may end sooner, and nobody asks without a pause. */
function retryMs(rows: readonly SandboxRow[], nowMs: number): number {
  const ends = rows.flatMap(({ state, expiresMs }) => (state === 'running' && expiresMs !== undefined ? [expiresMs] : []));
  return Math.min(60_000, Math.max(5000, Math.min(...ends, Infinity) - nowMs));
}

function refused(
  { text }: Refusal,
  { caller }: Wish,
  line: { readonly before: number; readonly retryMs: number },
): CasemateError {
  const before = line.before === 0 ? 'nobody waits' : `${line.before} wait before you`;
  const way = caller === undefined ? 'wait in the line (casemate run --queue 10m)' : 'wait in the line (queueMs)';
  return new CasemateError('TOO_MANY', `${text}; ${before}; try again in ${Math.round(line.retryMs / 1000)} s`, {
    hint: `Destroy one that is not needed, or ${way}.`,
  });
}

const behindOthers: Refusal = { text: 'others wait for room', isForAll: true };
const never: HostShare = { ready: 0, running: 0, memoryBytes: 0, cpus: 0, pids: 0, callers: 0, eachCaller: 0 };

interface Counted {
  readonly taken: readonly Taken[];
  readonly rows: readonly SandboxRow[];
}

function refusal(
  { caller, runs, id, count: wanted = 1 }: Wish,
  bounds: HostShare,
  { taken, rows }: Counted,
): Refusal | undefined {
  // Those of its servers are counted with a sandbox that has room already.
  const isOf = (row: SandboxRow, one: string | undefined): boolean => one !== undefined && (row.id === one || row.parent === one);
  const others = rows.filter((row) => !isOf(row, id) && !taken.some((one) => isOf(row, one.id)));
  const count = (isOne: (row: SandboxRow) => boolean, isTaken: (wish: Wish) => boolean): number =>
    others.filter(isOne).length + taken.reduce((sum, { wish }) => sum + (isTaken(wish) ? (wish.count ?? 1) : 0), 0);
  const more = wanted === 1 ? '' : `, and this is ${wanted}`;
  const running = count(
    ({ state }) => live.includes(state),
    (wish) => wish.runs,
  );
  if (runs && running + wanted > bounds.running) {
    return { text: `as many sandboxes run as may, ${running} of ${bounds.running}${more}`, isForAll: true };
  }
  if (caller === undefined || id !== undefined) {
    return undefined;
  }
  const own = count(
    (row) => row.caller === caller,
    (wish) => wish.caller === caller,
  );
  if (own + wanted > bounds.eachCaller) {
    return { text: `you have ${own} sandboxes, and may have ${bounds.eachCaller}${more}`, isForAll: false };
  }
  const all = count(
    (row) => row.caller !== undefined,
    (wish) => wish.caller !== undefined,
  );
  return all + wanted <= bounds.callers
    ? undefined
    : { text: `all callers together have ${all} sandboxes, and may have ${bounds.callers}${more}`, isForAll: false };
}

function requireLine(line: readonly Waiter[], { caller }: Wish): void {
  const own = line.filter(({ wish }) => wish.caller === caller).length;
  if (line.length >= greatestLine || (caller !== undefined && own >= greatestLineOfCaller)) {
    throw new CasemateError('TOO_MANY', `${line.length} wait for room already, ${own} of them yours; try again in 60 s`);
  }
}

/** Until it is let in, gives up, or its time is over. */
async function waitIn(line: Waiter[], wish: Wish, noRoom: () => CasemateError): Promise<Place> {
  const { promise, resolve, reject } = Promise.withResolvers<Place>();
  const waiter: Waiter = { wish, letIn: resolve, told: 0 };
  const waitMs = Math.min(greatestWaitMs, wish.waitMs ?? 0);
  const leave = (): void => {
    const at = line.indexOf(waiter);
    if (at >= 0) {
      line.splice(at, 1);
    }
  };
  const timer = setTimeout(() => {
    leave();
    reject(new CasemateError('TOO_MANY', `there was no room within ${formatDuration(waitMs)}: ${noRoom().message}`));
  }, waitMs);
  const abort = (): void => {
    leave();
    reject(wish.signal?.reason);
  };
  wish.signal?.addEventListener('abort', abort, { once: true });
  line.push(waiter);
  try {
    wish.signal?.throwIfAborted();
    tellPlace(waiter, line.length - 1);
    return await promise;
  } finally {
    leave();
    clearTimeout(timer);
    wish.signal?.removeEventListener('abort', abort);
  }
}

function tellPlace(waiter: Waiter, index: number): void {
  const place = index + 1;
  if (waiter.told !== place) {
    waiter.told = place;
    waiter.wish.tell?.(`waits for room: place ${place} in the line`);
  }
}
