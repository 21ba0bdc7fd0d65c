/** What would have ended a process without listeners for it: a gateway that meets hostile bytes must cause none. */
export interface ProcessFaults {
  /** Those since the last time it was asked. */
  readonly taken: () => unknown[];
  readonly stop: () => void;
}

export function watchProcessFaults(): ProcessFaults {
  const faults: unknown[] = [];
  const note = (fault: unknown): void => void faults.push(fault);
  process.on('uncaughtException', note);
  process.on('unhandledRejection', note);
  return {
    taken: () => faults.splice(0),
    stop() {
      process.off('uncaughtException', note);
      process.off('unhandledRejection', note);
    },
  };
}
