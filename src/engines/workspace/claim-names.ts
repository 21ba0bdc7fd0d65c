import { oneAtATime } from '../one-at-a-time.ts';
import type { EngineRecord, Records } from '../records.ts';
import { removePlaceholders, shareOut, type Listed } from './placeholders.ts';
import type { Protection } from './protect.ts';
import { protectionsOf } from './protections.ts';

/** Records which names of its workspace a sandbox protects, before anything is made there, and gives them up again. */

export interface Claims {
  readonly records: Records;
  /** of the other engines of this installation: their sandboxes may protect the same names */
  readonly beside: readonly Records[];
}

/** One at a time in this process, whatever the engine. */
const exclusive = oneAtATime();

/** Sandboxes that have given up their names and go, though their records do not say so yet: nothing is handed over to them. */
const leaving = new Map<string, Records>();

/** A record as it is now, changed: another sandbox may hand something over to it at any moment. */
export function changeRecord(
  { records }: Pick<Claims, 'records'>,
  id: string,
  change: (record: EngineRecord) => EngineRecord,
): Promise<EngineRecord> {
  return exclusive('placeholders', async () => {
    const changed = change(await records.get(id));
    await records.replace(changed);
    return changed;
  });
}

/**
 * No placeholder of another sandbox may go between looking at the workspace and writing down what is protected. What was handed
 * over since `base` was read is kept.
 */
export function claimNames(
  { records }: Claims,
  base: EngineRecord,
): Promise<{ readonly record: EngineRecord; readonly protections: readonly Protection[] }> {
  return exclusive('placeholders', async () => {
    const protections = await protectionsOf(base.spec);
    // What an earlier start made, or another sandbox handed over, is still to be removed.
    const made = protections.flatMap(({ path, placeholder }) => (placeholder === undefined ? [] : [{ path, placeholder }]));
    const listed = (await records.get(base.spec.id)).placeholders;
    const kept = listed.filter(({ path }) => !made.some((row) => row.path === path));
    const record = { ...base, protections: protections.map(({ path }) => path), placeholders: [...kept, ...made] };
    await records.replace(record);
    leaving.delete(base.spec.id);
    return { record, protections };
  });
}

/** `writesRecord`: the sandbox stays, and may be started again. */
export function releaseNames(claims: Claims, id: string, options: { readonly writesRecord: boolean }): Promise<void> {
  return exclusive('placeholders', () => clearWorkspace(claims, id, options));
}

/** The record as it is now: another sandbox may have handed something over. */
async function clearWorkspace(
  { records, beside }: Claims,
  id: string,
  { writesRecord }: { readonly writesRecord: boolean },
): Promise<void> {
  const record = await records.get(id);
  const others = (await Promise.all(beside.map(async (each) => (await each.all()).map((row) => ({ row, each }))))).flat();
  const present = await records.all();
  forgetGone(records, present);
  const staying = [...present, ...others.map(({ row }) => row)].filter(({ spec }) => !leaving.has(spec.id));
  const { own, handOver } = shareOut(record, staying);
  // First: a placeholder that two sandboxes list is removed by the later one, and one that none lists stays for ever.
  for (const { to, placeholders } of handOver) {
    const keeper = others.find(({ row }) => row.spec.id === to)?.each ?? records;
    // oxlint-disable-next-line no-await-in-loop -- as above
    const heir = await keeper.get(to);
    const isNew = ({ path }: Listed): boolean => !heir.placeholders.some((listed) => listed.path === path);
    // oxlint-disable-next-line no-await-in-loop -- as above
    await keeper.replace({ ...heir, placeholders: [...heir.placeholders, ...placeholders.filter(isNew)] });
  }
  await removePlaceholders(record.spec.workspace.path, own);
  if (writesRecord) {
    await records.replace({ ...record, protections: [], placeholders: [] });
  } else {
    leaving.set(id, records);
  }
}

/** Of one whose record is gone nothing need be remembered. */
function forgetGone(records: Records, present: readonly EngineRecord[]): void {
  const ids = new Set(present.map(({ spec }) => spec.id));
  for (const [id, own] of leaving) {
    if (own === records && !ids.has(id)) {
      leaving.delete(id);
    }
  }
}
