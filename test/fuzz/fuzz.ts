import { ownTime } from '../helpers/own-time.ts';
import type { Coverage } from './coverage.ts';
import { mutate } from './mutate.ts';
import { createRandom } from './random.ts';

/** Feeds a parser with inputs that change step by step, and keeps those that reach something new as ground for more. */
export interface FuzzTarget {
  readonly name: string;
  /** well-formed inputs to begin with */
  readonly seeds: readonly (string | Buffer)[];
  /** words of the format */
  readonly words?: readonly (string | Buffer)[];
  readonly maxBytes?: number;
  /** Throws where a promise is broken; what the parser may refuse by throwing is caught here. */
  readonly run: (input: Buffer) => void;
}

export interface FuzzOptions {
  readonly seed: number;
  /** whichever comes first */
  readonly runs: number;
  readonly seconds: number;
  /** absent: inputs are kept at random, not by what they reach */
  readonly coverage?: Coverage | undefined;
  /** inputs kept by earlier runs */
  readonly corpus?: readonly Buffer[];
}

export interface Find {
  readonly input: Buffer;
  readonly error: unknown;
}

export interface FuzzReport {
  readonly runs: number;
  /** inputs that reached something new, those given not counted */
  readonly fresh: readonly Buffer[];
  readonly blocks: number;
  /** the first one ends a run */
  readonly find: Find | undefined;
}

/** Inputs between two looks at the coverage, which costs more than most of them. */
const batchSize = 16;
/** One run of a parser that takes longer is a find: it blocks every sandbox meanwhile. */
export const slowMs = 500;

export function fuzz(target: FuzzTarget, { seed, runs, seconds, coverage, corpus = [] }: FuzzOptions): FuzzReport {
  const random = createRandom(seed);
  const given = [...target.seeds.map((one) => Buffer.from(one)), ...corpus];
  const kept = [...given];
  const words = (target.words ?? []).map((word) => Buffer.from(word));
  const known = new Set<string>();
  const end = performance.now() + seconds * 1000;
  let done = 0;
  const attempt = (input: Buffer): Find | undefined => {
    done += 1;
    return runOnce(target, input);
  };
  const report = (find: Find | undefined): FuzzReport => ({
    runs: done,
    fresh: kept.slice(given.length),
    blocks: known.size,
    find,
  });
  const learn = (input: Buffer): boolean => {
    const before = known.size;
    coverage?.take().forEach((block) => known.add(block));
    if (known.size > before) {
      kept.push(input);
    }
    return known.size > before;
  };
  for (const input of given) {
    const find = attempt(input);
    if (find !== undefined) {
      return report(find);
    }
  }
  coverage?.take().forEach((block) => known.add(block));
  const mayGoOn = (): boolean => done < runs && performance.now() < end;
  while (mayGoOn()) {
    const batch = Array.from({ length: batchSize }, () =>
      mutate(random.pick(kept), { random, words, other: random.pick(kept), maxBytes: target.maxBytes ?? 4096 }),
    );
    for (const input of batch) {
      const find = attempt(input);
      if (find !== undefined) {
        return report(find);
      }
    }
    // Something new was reached by one of them: run again one by one to see by which.
    const isNew = coverage !== undefined && [...coverage.take()].some((block) => !known.has(block));
    for (const input of isNew ? batch : []) {
      runOnce(target, input);
      learn(input);
    }
    if (coverage === undefined && kept.length < 200) {
      kept.push(random.pick(batch));
    }
  }
  return report(undefined);
}

export function runOnce(target: FuzzTarget, input: Buffer): Find | undefined {
  const spent = ownTime();
  try {
    // A copy: parsers may write into what they are given.
    target.run(Buffer.from(input));
  } catch (error) {
    return { input, error };
  }
  const ms = spent();
  return ms > slowMs ? { input, error: new Error(`took ${Math.round(ms)} ms`) } : undefined;
}
