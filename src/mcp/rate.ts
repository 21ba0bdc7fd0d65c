import { CasemateError } from '../base/errors.ts';

/** How often a caller may use each tool (a token bucket), and how many of its calls may run at one time. */
export interface Rate {
  /** Throws `RATE_LIMITED` with the time after which it is worth another try. `calls`: it counts as so many. */
  readonly take: (tool: string, calls?: number) => void;
  /** One more call is being answered, until what this gives is called. Throws `TOO_MANY` where as many are as may. */
  readonly enter: () => () => void;
}

interface Bucket {
  /** calls at once */
  readonly burst: number;
  /** time in which one more becomes possible */
  readonly everyMs: number;
}

const usual: Bucket = { burst: 60, everyMs: 200 };
const dear: Readonly<Record<string, Bucket>> = {
  create_session: { burst: 10, everyMs: 6000 },
  destroy_session: { burst: 20, everyMs: 1000 },
  request_approval: { burst: 5, everyMs: 60_000 },
  snapshot_session: { burst: 10, everyMs: 6000 },
  restore_session: { burst: 10, everyMs: 6000 },
  transfer_files: { burst: 20, everyMs: 1000 },
  'resources/read': { burst: 20, everyMs: 1000 },
};

/** Each may be a program on this host that waits for one inside, however its question came: alone, or in a message of a hundred. */
const mostOpen = 64;

export interface RateOptions {
  /** how many times as much and as often as usual, from 1 */
  readonly pace?: number | undefined;
  readonly nowMs?: (() => number) | undefined;
}

export function createRate({ pace = 1, nowMs = () => performance.now() }: RateOptions = {}): Rate {
  const held = new Map<string, { left: number; atMs: number }>();
  let open = 0;
  return {
    enter() {
      if (open >= mostOpen) {
        throw new CasemateError('TOO_MANY', `${mostOpen} calls of this caller are being answered already`, {
          hint: 'Wait for one to end; start_command and wait_for_execution hold no call while a command runs.',
        });
      }
      open += 1;
      let isOpen = true;
      return () => {
        open -= Number(isOpen);
        isOpen = false;
      };
    },
    take(tool, calls = 1) {
      const bucket = Object.hasOwn(dear, tool) ? (dear[tool] ?? usual) : usual;
      const [burst, everyMs] = [bucket.burst * pace, bucket.everyMs / pace];
      const now = nowMs();
      const known = held.get(tool) ?? { left: burst, atMs: now };
      const left = Math.min(burst, known.left + (now - known.atMs) / everyMs);
      // Beside the call that asks, a full bucket has one fewer: for more it would be told to wait for ever.
      const taken = Math.min(calls, Math.max(1, burst - 1));
      if (left < taken) {
        const waitMs = Math.ceil((taken - left) * everyMs);
        throw new CasemateError('RATE_LIMITED', `${tool} was called too often; try again in ${waitMs} ms`, {
          hint: `${burst} at once, then one in ${everyMs} ms.`,
        });
      }
      held.set(tool, { left: left - taken, atMs: now });
    },
  };
}
