/** What one measurement is: raw samples, so that whoever reads the file can take another statistic than we did. */
export interface BenchResult {
  /** what was measured, e.g. `engine/run casemate`; the part before `/` groups rows of the table */
  readonly name: string;
  /** unit of every sample: `ms`, `MB/s`, `records/s`, `KB` */
  readonly unit: string;
  /** in the order taken; empty where `blocked` says why */
  readonly samples: readonly number[];
  /** condition a reader must know, e.g. `warm daemon` */
  readonly note?: string | undefined;
  /** why there is no number; printed in its place */
  readonly blocked?: string | undefined;
  /** name of the result of the same run this one is divided by in the table */
  readonly against?: string | undefined;
  /** further results of the same run it is divided by, with the aim for each ratio */
  readonly also?: readonly { readonly against: string; readonly aim: string }[] | undefined;
  /** the aim for that ratio (or, without `against`, for the median), e.g. `< 0.5`; printed, never enforced */
  readonly aim?: string | undefined;
}

/** One bench module: everything it starts it ends; it measures for at most about a minute. */
export type Bench = () => Promise<readonly BenchResult[]>;

/** A row for what could not be measured here: a reason stands where the number would. */
export function blocked(name: string, unit: string, reason: string): BenchResult {
  return { name, unit, samples: [], blocked: reason };
}

/** Middle sample, or the mean of the two middle ones; `undefined` without samples. */
export function median(samples: readonly number[]): number | undefined {
  const sorted = samples.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle];
  const lower = sorted[sorted.length % 2 === 0 ? middle - 1 : middle];
  return upper === undefined || lower === undefined ? undefined : (upper + lower) / 2;
}
