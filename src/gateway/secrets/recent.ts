import { ownText } from '../../base/own-text.ts';

/** Caches the results for the texts seen last, because requests carry the same credentials again and again. */
export function createRecent<T>(make: (text: string) => T, kept = 16): (text: string) => T {
  const known = new Map<string, T>();
  return (text) => {
    const found = known.get(text);
    if (found !== undefined) {
      return found;
    }
    const [oldest] = known.keys();
    if (known.size >= kept && oldest !== undefined) {
      known.delete(oldest);
    }
    const made = make(text);
    known.set(ownText(text), made);
    return made;
  };
}
