import { randomBytes } from 'node:crypto';
import { readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';

import { CasemateError } from '../../base/errors.ts';
import type { Engine } from '../../engines/engine.ts';
import { isJsonObject } from '../../base/json.ts';
import { visible } from '../../base/text.ts';
import type { JournalEntry } from '../../journal/record.ts';
import { isErrno, privateFolder, readTextIfPresent, writeDurably } from '../../system/files.ts';
import type { SandboxContext } from '../context.ts';
import { sandboxFolder } from './folder.ts';
import { parsePlan } from '../plan/plan.ts';
import { sandboxFolders } from '../plan/spec.ts';
import type { SandboxRow } from '../stored/store.ts';

/**
 * Earlier states of a sandbox's home, kept in its own folder and restored only into itself: the phantoms in a home have a
 * meaning in no other sandbox. Budgets, approvals, the journal and the workspace are not part of a snapshot. Removed with the
 * sandbox.
 */
export interface Snapshot {
  readonly id: string;
  readonly label: string;
  readonly createdMs: number;
  /** on disk */
  readonly bytes: number;
}

export interface SnapshotCall {
  readonly actor: string;
  readonly signal?: AbortSignal | undefined;
}

export interface Snapshots {
  readonly take: (name: string, options: SnapshotCall & { readonly label: string }) => Promise<Snapshot>;
  readonly restore: (name: string, options: SnapshotCall & { readonly snapshot: string }) => Promise<Snapshot>;
  readonly remove: (name: string, options: SnapshotCall & { readonly snapshot: string }) => Promise<Snapshot>;
  readonly list: (name: string) => Promise<readonly Snapshot[]>;
}

/** of one sandbox */
const greatestSnapshots = 4;

export const snapshotIdPattern = /^sn-[0-9a-f]{16}$/;

export async function takeSnapshot(
  context: SandboxContext,
  row: SandboxRow,
  { label, actor, signal }: SnapshotCall & { readonly label: string },
): Promise<Snapshot> {
  const { clock, engine } = context;
  const folder = await privateFolder(folderOf(context, row));
  requireAtRest(row);
  await removeHalves(folder);
  if ((await listSnapshots(context, row)).length >= greatestSnapshots) {
    throw new CasemateError('TOO_MANY', `"${row.name}" has ${greatestSnapshots} snapshots, and more are not kept`, {
      hint: `Remove one: casemate snapshot rm ${row.name} ID`,
    });
  }
  const id = `sn-${randomBytes(8).toString('hex')}`;
  return await onRecord(context, entryOf(row, { action: 'home.snapshot', actor, id }), async () => {
    const bytes = await keeping(engine).keepHome(row.id, homeOf(context, row), imageOf(folder, id), { signal });
    const snapshot = { id, label, createdMs: clock.nowMs(), bytes };
    // Last: what is not written down is no snapshot, and is removed by the next one or the next daemon.
    const draft = join(folder, `${id}.new`);
    await writeDurably(draft, JSON.stringify({ version: 1, ...snapshot }));
    await rename(draft, join(folder, `${id}.json`));
    return snapshot;
  });
}

/** The home that is there is lost. */
export async function restoreSnapshot(
  context: SandboxContext,
  row: SandboxRow,
  { snapshot, actor, signal }: SnapshotCall & { readonly snapshot: string },
): Promise<Snapshot> {
  const { engine } = context;
  requireAtRest(row);
  const found = await findSnapshot(context, row, snapshot);
  return await onRecord(context, entryOf(row, { action: 'home.restore', actor, id: found.id }), async () => {
    await keeping(engine).putHomeBack(row.id, homeOf(context, row), imageOf(folderOf(context, row), found.id), { signal });
    return found;
  });
}

export async function removeSnapshot(
  context: SandboxContext,
  row: SandboxRow,
  { snapshot, actor }: SnapshotCall & { readonly snapshot: string },
): Promise<Snapshot> {
  const found = await findSnapshot(context, row, snapshot);
  await context.journal.append(entryOf(row, { action: 'home.snapshot-remove', actor, id: found.id }));
  const folder = folderOf(context, row);
  await rm(join(folder, `${found.id}.json`), { force: true });
  await rm(imageOf(folder, found.id), { force: true });
  return found;
}

/** Oldest first. */
export async function listSnapshots(context: SandboxContext, row: SandboxRow): Promise<readonly Snapshot[]> {
  const folder = folderOf(context, row);
  const names = (await namesIn(folder)).filter((name) => name.endsWith('.json'));
  const texts = await Promise.all(names.map((name) => readTextIfPresent(join(folder, name))));
  return texts.flatMap((text) => readSnapshot(text)).toSorted((a, b) => a.createdMs - b.createdMs);
}

/** What a killed process left half made. */
export async function tidySnapshots(context: SandboxContext, row: SandboxRow): Promise<void> {
  await removeHalves(folderOf(context, row));
}

async function removeHalves(folder: string): Promise<void> {
  const names = await namesIn(folder);
  const whole = new Set(names.filter((name) => name.endsWith('.json')).map((name) => name.replace(/\.json$/, '.ext4')));
  const halves = names.filter((name) => !name.endsWith('.json') && !whole.has(name));
  await Promise.all(halves.map((name) => rm(join(folder, name), { force: true })));
}

async function findSnapshot(context: SandboxContext, row: SandboxRow, id: string): Promise<Snapshot> {
  const found = (await listSnapshots(context, row)).find((snapshot) => snapshot.id === id);
  if (found === undefined) {
    throw new CasemateError('SNAPSHOT_NOT_FOUND', `"${row.name}" has no snapshot ${visible(id).slice(0, 80)}`, {
      hint: `See: casemate snapshot ls ${row.name}`,
    });
  }
  return found;
}

function keeping({ name, keepHome, putHomeBack }: Engine): Required<Pick<Engine, 'keepHome' | 'putHomeBack'>> {
  if (keepHome === undefined || putHomeBack === undefined) {
    throw new CasemateError('UNSUPPORTED', `the engine ${name} keeps no homes`);
  }
  return { keepHome, putHomeBack };
}

/** A home that is written while it is copied would be none. */
function requireAtRest(row: SandboxRow): void {
  if (row.ephemeral) {
    throw new CasemateError('SANDBOX_WRONG_STATE', `"${row.name}" is removed with its command`, {
      hint: 'Make one that is kept: casemate create, or casemate run --keep',
    });
  }
  if (row.state !== 'stopped' && row.state !== 'created') {
    throw new CasemateError('SANDBOX_WRONG_STATE', `a command runs in "${row.name}", or it is on its way`, {
      hint: 'Try again when it has ended, or stop the sandbox.',
    });
  }
}

/** Before the deed; what could not be done has a second record that says so. */
async function onRecord<T>({ journal }: SandboxContext, entry: JournalEntry, work: () => Promise<T>): Promise<T> {
  await journal.append(entry);
  try {
    return await work();
  } catch (error) {
    await journal.append({ ...entry, outcome: 'failed' }).catch(() => undefined);
    throw error;
  }
}

function entryOf(
  row: SandboxRow,
  { action, actor, id }: { readonly action: string; readonly actor: string; readonly id: string },
) {
  return {
    action,
    actor,
    sandbox: row.id,
    subject: row.name,
    decision: 'none',
    outcome: 'accepted',
    policy: parsePlan(row.plan).policy.hash,
    detail: { snapshot: id },
  } as const;
}

function folderOf({ paths }: SandboxContext, { id }: SandboxRow): string {
  return join(sandboxFolder(paths, id), 'snapshots');
}

function homeOf({ paths }: SandboxContext, { id }: SandboxRow): string {
  return sandboxFolders(sandboxFolder(paths, id)).home;
}

function imageOf(folder: string, id: string): string {
  return join(folder, `${id}.ext4`);
}

async function namesIn(folder: string): Promise<readonly string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (isErrno(error, 'ENOENT')) {
      return [];
    }
    throw error;
  }
}

/** Of our private folder, written whole. */
function readSnapshot(text: string | undefined): readonly Snapshot[] {
  const value: unknown = text === undefined ? undefined : JSON.parse(text);
  const { id, label, createdMs, bytes } = isJsonObject(value) ? value : {};
  return typeof id === 'string' &&
    snapshotIdPattern.test(id) &&
    typeof label === 'string' &&
    typeof createdMs === 'number' &&
    typeof bytes === 'number'
    ? [{ id, label, createdMs, bytes }]
    : [];
}
