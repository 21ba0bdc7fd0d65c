import { rm, stat } from 'node:fs/promises';
import { join } from 'node:path';

import { clearCgroups } from './cgroups.ts';
import { dropListener, runtimeOf, type EngineContext } from './context.ts';
import { liveInit } from './first-process.ts';
import { dropHeld, heldImage } from './home-disk.ts';
import { releaseNames } from '../workspace/claim-names.ts';
import { killProcess, waitUntilGone } from '../processes.ts';
import { containerOf, type EngineRecord } from '../records.ts';
import { containerState, runtimeCall, runtimeMust, type RuntimeOptions } from './runtime.ts';

/** Removes everything that a record says was made, and the record last. Each step can be repeated. */

export async function forget(context: EngineContext, record: EngineRecord): Promise<void> {
  // A full disk takes no new record, and none is needed: until the last step the one that is there lists everything.
  await tearDown(context, record, { writesRecord: false });
  await dropHeld(heldImage(context.layout.blanks, record.spec.id));
  await context.records.remove(record.spec.id);
  await freeSlot(context, record.spec.id, record.slot);
}

export async function freeSlot({ slots }: EngineContext, id: string, slot: number | undefined): Promise<void> {
  if (slot !== undefined) {
    await slots.free(slot, id);
  }
}

interface TearDown {
  readonly writesRecord: boolean;
}

export async function tearDown(context: EngineContext, record: EngineRecord, options: TearDown): Promise<void> {
  await dropListener(context, record.spec.id);
  await deleteContainer(context, record);
  await releaseNames(context, record.spec.id, options);
  await rm(context.layout.sandbox(record.spec.id).folder, { recursive: true, force: true });
}

export async function deleteContainer(context: EngineContext, record: EngineRecord): Promise<void> {
  const { spec } = record;
  const name = containerOf(record);
  // The folder is made before the container and removed after it.
  if (!(await exists(context.layout.sandbox(spec.id).folder))) {
    // Unless somebody else removed it: then its groups still say what runs.
    await clearGroups(context, name, spec.owner);
    return;
  }
  const runtime = runtimeOf(context, spec.runtime);
  const init = await liveInit(context.layout, spec.id);
  if (init !== undefined) {
    // The first process takes the others with it. Its identity was read just now.
    killProcess(init.pid);
    await waitUntilGone(init, 10_000);
  }
  if (spec.runtime === 'runc' && context.isRoot) {
    // Of a dead container runc remembers a folder, in a root that is ours alone; its groups are cleared below. Two system
    // calls in place of a program that takes longer than the sandbox took to end.
    await rm(join(runtime.root, name), { recursive: true, force: true });
  } else if (spec.runtime !== 'runsc') {
    await deleteByRuntime(runtime, name);
  }
  await clearGroups(context, name, spec.owner);
}

async function clearGroups({ isRoot }: EngineContext, name: string, owner: string): Promise<void> {
  if (isRoot) {
    await clearCgroups(name, owner);
  }
}

/** What the runtime itself remembers. gVisor's memory of a sandbox lies in the sandbox's folder and goes with it. */
async function deleteByRuntime(runtime: RuntimeOptions, name: string): Promise<void> {
  const result = await runtimeCall(runtime, ['delete', name]);
  if (result.exitCode !== 0 && (await containerState(runtime, name)) !== undefined) {
    await runtimeMust(runtime, ['delete', '--force', name]);
  }
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
