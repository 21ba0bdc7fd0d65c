import { visible } from '../../base/text.ts';
import type { SandboxId } from '../../base/ids.ts';
import { newRepositories, type NewRepositories } from '../../workspace/new-repositories.ts';
import type { SandboxContext } from '../context.ts';
import { parsePlan } from '../plan/plan.ts';
import type { SandboxRow } from '../stored/store.ts';

/**
 * Git repositories that a sandbox made or changed since its start, which a person should know about before the next git command
 * in its workspace. They are recorded, and never stop a sandbox's end from being reached or reported.
 */

const none: NewRepositories = { paths: [], complete: true };
/** What is on record already, by sandbox; of those of this process. */
const onRecord = new WeakMap<SandboxContext, Map<SandboxId, Set<string>>>();

/** All of them, as a command ends. */
export async function repositoriesSinceStart(
  context: SandboxContext,
  row: SandboxRow,
  detail: Readonly<Record<string, string>>,
): Promise<NewRepositories> {
  const found = await search(context, row);
  await record(context, row, { paths: found.paths, detail });
  return found;
}

/** When nothing runs in it any more: those that nobody was told of, made by what a command had left behind. */
export async function repositoriesAtEnd(context: SandboxContext, row: SandboxRow): Promise<readonly string[]> {
  if (row.state === 'created' || row.state === 'stopped') {
    return [];
  }
  const found = await search(context, row);
  const known = onRecord.get(context)?.get(row.id);
  const paths = found.paths.filter((path) => known?.has(path) !== true);
  await record(context, row, { paths, detail: { ended: 'true' } });
  onRecord.get(context)?.delete(row.id);
  return paths;
}

async function search({ engine }: SandboxContext, { id, plan, startedMs }: SandboxRow): Promise<NewRepositories> {
  const { workspace } = parsePlan(plan);
  if (startedMs === undefined || workspace.mode === 'readonly') {
    return none;
  }
  try {
    const held = (await engine.heldPlaces?.(id)) ?? [];
    return await newRepositories(workspace.path, startedMs, { held });
  } catch {
    return { paths: [], complete: false };
  }
}

interface Entry {
  readonly paths: readonly string[];
  readonly detail: Readonly<Record<string, string>>;
}

async function record(context: SandboxContext, row: SandboxRow, { paths, detail }: Entry): Promise<void> {
  if (paths.length === 0) {
    return;
  }
  const bySandbox = onRecord.get(context) ?? new Map<SandboxId, Set<string>>();
  onRecord.set(context, bySandbox.set(row.id, new Set([...(bySandbox.get(row.id) ?? []), ...paths])));
  const entry = {
    sandbox: row.id,
    actor: 'sandbox',
    action: 'workspace.repository',
    subject: paths.slice(0, 20).map(visible).join(' '),
    decision: 'none',
    outcome: 'found',
  } as const;
  const { policy } = parsePlan(row.plan);
  await context.journal
    .append({ ...entry, policy: policy.hash, detail: { ...detail, repositories: paths.length } })
    .catch(() => undefined);
}
