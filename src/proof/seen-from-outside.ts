import type { Row } from './finding.ts';
import type { Target } from './target.ts';
import { chooseProbes } from './probes.ts';

/**
 * What this host sees of a running sandbox, by the same probes as a proof: the only ground for a tick in `inspect`. Nothing is
 * asked inside, so it takes milliseconds, and it tells as much about a sandbox whose programs were tampered with.
 */
export interface OutsideView {
  readonly probe: string;
  /** what the probe would find if it were so */
  readonly title: string;
  readonly rows: readonly Row[];
}

export async function seenFromOutside(target: Target, uid: number): Promise<readonly OutsideView[]> {
  const quick = Object.entries(chooseProbes({ profile: 'quick' }));
  const views = await Promise.all(
    quick.map(async ([probe, row]) => {
      const rows = row.where === 'sandbox' ? await row.outside?.(target, uid) : undefined;
      return rows === undefined ? [] : [{ probe, title: row.title, rows }];
    }),
  );
  return views.flat();
}
