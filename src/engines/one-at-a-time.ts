/** Runs steps that share a key one after another, and steps of different keys in parallel. */
export function oneAtATime(): <T>(key: string, step: () => Promise<T>) => Promise<T> {
  const last = new Map<string, Promise<unknown>>();
  return async (key, step) => {
    const before = last.get(key) ?? Promise.resolve();
    const mine = before.then(step, step);
    const settled = mine.then(
      () => undefined,
      () => undefined,
    );
    last.set(key, settled);
    try {
      return await mine;
    } finally {
      if (last.get(key) === settled) {
        last.delete(key);
      }
    }
  };
}
