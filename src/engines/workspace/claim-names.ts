import { oneAtATime } from '../one-at-a-time.ts';
import type { EngineRecord, Records } from '../records.ts';
import { removePlaceholders, shareOut, type Listed } from './placeholders.ts';
import type { Protection } from './protect.ts';
import { protectionsOf } from './protections.ts';

/** Which names of its workspace a sandbox protects, written down before anything is made there, and given up again. */

export interface Claims {
  readonly records: Records;
  /** of the other engines of this installation: their sandboxes may protect the same names */
  readonly beside: readonly Records[];
}

/** One at a time in this process, whatever the engine. */
const exclusive = oneAtATime();

/** No placeholder of another sandbox may go between looking at the workspace and writing down what is protected. */
export function claimNames(
  { records }: Claims,
  base: EngineRecord,
): Promise<{ readonly record: EngineRecord; readonly protections: readonly Protection[] }> {
  return exclusive('placeholders', async () => {
    const protections = await protectionsOf(base.spec);
    // What an earlier start made, or another sandbox handed over, is still to be removed.
    const made = protections.flatMap(({ path, placeholder }) => (placeholder === undefined ? [] : [{ path, placeholder }]));
    const kept = base.placeholders.filter(({ path }) => !made.some((row) => row.path === path));
    const record = { ...base, protections: protections.map(({ path }) => path), placeholders: [...kept, ...made] };
    await records.replace(record);
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
  const { own, handOver } = shareOut(record, [...(await records.all()), ...others.map(({ row }) => row)]);
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
  }
}
