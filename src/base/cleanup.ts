/** A stack of undo steps, run last first; every step runs, and what failed is reported together. */
export interface Cleanup {
  /** `name` says what is undone, for the report. */
  readonly add: (name: string, undo: () => Promise<void> | void) => void;
  /** Forgets all steps: the work they would undo is now somebody else's. */
  readonly release: () => void;
  /** Throws an `AggregateError` of what failed, after having tried everything. */
  readonly run: () => Promise<void>;
}

export function cleanupStack(): Cleanup {
  let steps: { name: string; undo: () => Promise<void> | void }[] = [];
  return {
    add(name, undo) {
      steps.push({ name, undo });
    },
    release() {
      steps = [];
    },
    async run() {
      const failures: Error[] = [];
      for (let step = steps.pop(); step !== undefined; step = steps.pop()) {
        try {
          // oxlint-disable-next-line no-await-in-loop -- the order is the point
          await step.undo();
        } catch (error) {
          failures.push(new Error(`clean-up step "${step.name}" failed`, { cause: error }));
        }
      }
      if (failures.length > 0) {
        throw new AggregateError(failures, failures.map((failure) => failure.message).join('; '));
      }
    },
  };
}
