/** What content passes through on its way. Each step may hold bytes back, change them, or note what it saw. */
export interface BodyStep {
  readonly push: (piece: Buffer) => Buffer;
  /** what was still held back */
  readonly finish: () => Buffer;
}

/** Several steps as one, the first one nearest to the source; none at all: `undefined`, so that bytes go on untouched. */
export function chain(steps: readonly (BodyStep | undefined)[]): BodyStep | undefined {
  const present = steps.filter((step) => step !== undefined);
  const [first, second, ...rest] = present;
  if (first === undefined || second === undefined) {
    return first;
  }
  const joined: BodyStep = {
    push: (piece) => second.push(first.push(piece)),
    finish: () => Buffer.concat([second.push(first.finish()), second.finish()]),
  };
  return chain([joined, ...rest]);
}
