import { both } from '../../base/both.ts';

/** What content passes through on its way. Each step may hold bytes back, change them, or note what it saw. */
export interface BodyStep {
  readonly push: (piece: Buffer) => Buffer;
  /** what was still held back */
  readonly finish: () => Buffer;
  /** The same as both, where nothing was pushed before and no more comes: nothing has to be held back meanwhile. */
  readonly whole?: ((content: Buffer) => Buffer) | undefined;
}

/** All of some content at once. */
export function passWhole(step: BodyStep, content: Buffer): Buffer {
  return step.whole === undefined ? both(step.push(content), step.finish()) : step.whole(content);
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
    finish: () => both(second.push(first.finish()), second.finish()),
    whole: (content) => passWhole(second, passWhole(first, content)),
  };
  return chain([joined, ...rest]);
}
