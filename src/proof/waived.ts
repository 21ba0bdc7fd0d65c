import type { LayerName } from '../base/layers.ts';
import { judge, type Row, type Seen, type Verdict } from './finding.ts';
import type { RestsOn } from './probe.ts';

/**
 * The verdict if a person waived a layer by name: what depends on the layer does not count as held, nor as a defect; everything
 * else must still hold. Pure.
 */
export function judgeWaived(
  seen: Seen,
  layers: RestsOn = {},
  waive: readonly LayerName[] = [],
): { readonly verdict: Verdict; readonly why?: string } {
  const judged = judge(seen);
  const waived = waive.filter((layer) => layers[layer] !== undefined);
  if (judged.verdict !== 'broken' || waived.length === 0 || !('rows' in seen)) {
    return judged;
  }
  const isAccepted = ({ kind, what, seen: answer, ok }: Row): boolean =>
    kind === 'attack' && ok === false && waived.some((layer) => layers[layer]?.test(`${what}: ${answer}`) === true);
  const rest = seen.rows.filter((row) => !isAccepted(row));
  const others = judge({ rows: rest });
  return rest.some(({ kind }) => kind === 'attack') && others.verdict !== 'held'
    ? others
    : { verdict: 'not-applicable', why: `waived by a person: ${waived.join(', ')} (${judged.why ?? ''})` };
}
