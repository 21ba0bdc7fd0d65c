/** Allows one use case at a time per sandbox; the others wait their turn. */
export interface Locks {
  readonly run: <T>(key: string, work: () => Promise<T>) => Promise<T>;
}

export function createLocks(): Locks {
  const tails = new Map<string, Promise<unknown>>();
  return {
    async run(key, work) {
      const before = tails.get(key) ?? Promise.resolve();
      const mine = before.then(work, work);
      const tail = mine.catch(() => undefined);
      tails.set(key, tail);
      try {
        return await mine;
      } finally {
        if (tails.get(key) === tail) {
          tails.delete(key);
        }
      }
    },
  };
}
