import { ownText } from '../../base/own-text.ts';

/** What a registry's metadata said of versions and files, for the archives that are requested next. Bounded. */
export interface PackageMemory {
  /** `reason`: withheld for this; `offered`: it may be fetched; `undefined`: not known */
  readonly judgement: (key: string, nowMs: number) => { readonly reason: string } | 'offered' | undefined;
  readonly remember: (withheld: ReadonlyMap<string, string>, offered: readonly string[], nowMs: number) => void;
}

const greatestCount = 100_000;
/** A version that was withheld may have come of age by then, and one that was offered may have been put on a list. */
const keptMs = 10 * 60_000;

export function createPackageMemory(): PackageMemory {
  const rows = new Map<string, { readonly reason: string | undefined; readonly atMs: number }>();
  const put = (key: string, reason: string | undefined, atMs: number): void => {
    rows.delete(key);
    rows.set(ownText(key), { reason, atMs });
    const [oldest] = rows.keys();
    if (rows.size > greatestCount && oldest !== undefined) {
      rows.delete(oldest);
    }
  };
  return {
    judgement(key, nowMs) {
      const row = rows.get(key);
      if (row === undefined || nowMs - row.atMs > keptMs || nowMs < row.atMs) {
        return undefined;
      }
      return row.reason === undefined ? 'offered' : { reason: row.reason };
    },
    remember(withheld, offered, nowMs) {
      withheld.forEach((reason, key) => put(key, reason, nowMs));
      offered.forEach((key) => put(key, undefined, nowMs));
    },
  };
}
