/** Work that continues after an answer was given. It may fail. */
export function createBackground() {
  const all = new Set<Promise<unknown>>();
  return {
    run(work: Promise<unknown>): void {
      const settling = work.catch(() => undefined);
      all.add(settling);
      void settling.then(() => all.delete(settling));
    },
    async settled(): Promise<void> {
      await Promise.all(all);
    },
  };
}
