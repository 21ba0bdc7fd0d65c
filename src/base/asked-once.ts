/** Asks once, and for all; what failed is asked anew by whoever needs it next. */
export function askedOnce<T>(ask: () => Promise<T>): () => Promise<T> {
  let known: Promise<T> | undefined;
  return () => {
    if (known === undefined) {
      const asked = ask();
      known = asked;
      asked.catch(() => {
        known = known === asked ? undefined : known;
      });
    }
    return known;
  };
}
