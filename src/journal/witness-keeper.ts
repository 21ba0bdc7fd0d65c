import { toCasemateError, type CasemateError } from '../base/errors.ts';

/**
 * Keeps the witness at the newest durable head. It saves one head at a time; the newest waiting head replaces all earlier ones.
 */
export interface WitnessKeeper {
  /** Resolves when the witness names `head` or a later one. */
  readonly save: (head: StatedHead) => Promise<void>;
  /** Why the last save failed. Until one succeeds, a tail that is cut off would not be noticed. */
  readonly fault: () => CasemateError | undefined;
}

export interface StatedHead {
  readonly seq: number;
  readonly hash: string;
  readonly time: string;
}

export function witnessKeeper(write: (head: StatedHead) => Promise<void>): WitnessKeeper {
  let newest: StatedHead | undefined;
  let running = Promise.resolve();
  let fault: CasemateError | undefined;
  const saveNewest = async (): Promise<void> => {
    const taken = newest;
    newest = undefined;
    if (taken === undefined) {
      return;
    }
    try {
      await write(taken);
      fault = undefined;
    } catch (error) {
      fault = toCasemateError(error);
      throw fault;
    }
  };
  return {
    fault: () => fault,
    async save(head) {
      newest = newest === undefined || head.seq > newest.seq ? head : newest;
      const turn = running.then(saveNewest);
      running = turn.catch(() => undefined);
      await turn;
    },
  };
}
