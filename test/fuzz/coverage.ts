import { Session } from 'node:inspector';

/** Which blocks of the program have run, told by the engine's own coverage: what guides a fuzzer to new places. */
export interface Coverage {
  /** Blocks of `src/` that have run since it was last asked; each is always named the same. */
  readonly take: () => ReadonlySet<string>;
  readonly close: () => void;
}

interface Taken {
  readonly result: readonly {
    readonly url: string;
    readonly functions: readonly {
      readonly ranges: readonly { readonly startOffset: number; readonly endOffset: number; readonly count: number }[];
    }[];
  }[];
}

export function createCoverage(): Coverage {
  const session = new Session();
  session.connect();
  const ask = (method: string, params: object = {}): unknown => {
    let answer: unknown;
    // On a session with the same thread the answer is there when `post` returns.
    session.post(method, params, (error, value) => {
      if (error !== null) {
        throw error;
      }
      answer = value;
    });
    return answer;
  };
  ask('Profiler.enable');
  ask('Profiler.startPreciseCoverage', { callCount: true, detailed: true });
  return {
    take() {
      const { result } = ask('Profiler.takePreciseCoverage') as Taken;
      const blocks = result
        .filter(({ url }) => url.includes('/src/'))
        .flatMap(({ url, functions }) =>
          functions.flatMap(({ ranges }) =>
            ranges.filter(({ count }) => count > 0).map(({ startOffset, endOffset }) => `${url}:${startOffset}-${endOffset}`),
          ),
        );
      return new Set(blocks);
    },
    close: () => session.disconnect(),
  };
}
