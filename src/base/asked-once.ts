export interface AskedOnce<T> {
  (): Promise<T>;
  /** what was asked, or is being asked, and did not fail so far; asks nothing */
  readonly known: () => Promise<T> | undefined;
}

/** Asks once, and for all; what failed is asked anew by whoever needs it next. */
export function askedOnce<T>(ask: () => Promise<T>): AskedOnce<T> {
  let known: Promise<T> | undefined;
  const once = (): Promise<T> => {
    if (known === undefined) {
      const asked = ask();
      known = asked;
      asked.catch(() => {
        known = known === asked ? undefined : known;
      });
    }
    return known;
  };
  return Object.assign(once, { known: () => known });
}
