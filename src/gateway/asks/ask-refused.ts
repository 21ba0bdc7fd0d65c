import type { DeniedRequest } from '../../policy/proposing/grant-rule.ts';
import type { Clock } from '../../system/clock.ts';

/** Remembers what a person denied, for a while or for the life of the sandbox, so that it is not asked again. Bounded. */
export interface Refused {
  readonly has: (request: DeniedRequest) => boolean;
  readonly add: (request: DeniedRequest, scope: 'while' | 'sandbox') => void;
}

const kinds = 1024;

/** `forLife`: keys by `refusalKey` that an earlier daemon was given. */
export function createRefused(
  { clock, limits }: { readonly clock: Clock; readonly limits: { readonly quietMs: number } },
  forLife: readonly string[],
): Refused {
  const until = new Map<string, number>(forLife.map((key) => [key, Number.POSITIVE_INFINITY]));
  return {
    has: (request) => (until.get(refusalKey(request)) ?? Number.NEGATIVE_INFINITY) > clock.monotonicMs(),
    add(request, scope) {
      const [oldest] = until.keys();
      if (until.size >= kinds && oldest !== undefined) {
        until.delete(oldest);
      }
      until.set(refusalKey(request), scope === 'sandbox' ? Number.POSITIVE_INFINITY : clock.monotonicMs() + limits.quietMs);
    },
  };
}

/** Host, port, method and path, whatever the query. */
export function refusalKey({ host, port, method, path }: DeniedRequest): string {
  return JSON.stringify([host, port, method ?? null, path ?? null]);
}
