import { CasemateError } from '../base/errors.ts';

/** How often a caller may use a tool: a bucket that fills again, for each tool. */
export interface Rate {
  /** Throws `RATE_LIMITED` with the time after which it is worth another try. */
  readonly take: (tool: string) => void;
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
  transfer_files: { burst: 20, everyMs: 1000 },
  'resources/read': { burst: 20, everyMs: 1000 },
};

export interface RateOptions {
  /** how many times as much and as often as usual, from 1 */
  readonly pace?: number | undefined;
  readonly nowMs?: (() => number) | undefined;
}

export function createRate({ pace = 1, nowMs = () => performance.now() }: RateOptions = {}): Rate {
  const held = new Map<string, { left: number; atMs: number }>();
  return {
    take(tool) {
      const bucket = Object.hasOwn(dear, tool) ? (dear[tool] ?? usual) : usual;
      const [burst, everyMs] = [bucket.burst * pace, bucket.everyMs / pace];
      const now = nowMs();
      const known = held.get(tool) ?? { left: burst, atMs: now };
      const left = Math.min(burst, known.left + (now - known.atMs) / everyMs);
      if (left < 1) {
        const waitMs = Math.ceil((1 - left) * everyMs);
        throw new CasemateError('RATE_LIMITED', `${tool} was called too often; try again in ${waitMs} ms`, {
          hint: `${burst} at once, then one in ${everyMs} ms.`,
        });
      }
      held.set(tool, { left: left - 1, atMs: now });
    },
  };
}
