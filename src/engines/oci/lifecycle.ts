import { stat, writeFile } from 'node:fs/promises';

import { allDone } from '../../base/all-done.ts';
import { cleanupStack } from '../../base/cleanup.ts';
import { parseSandboxId } from '../../base/ids.ts';
import { isErrno, removeDrafts } from '../../system/files.ts';
import type { ProcessIdentity } from '../../system/process-identity.ts';
import type { Abortable, EngineSandbox, SandboxSpec } from '../engine.ts';
import { commandProcess } from './bundle.ts';
import { abandon, beginContainer, canWait, finishContainer, type Begun, type ContainerHost } from './container.ts';
import {
  containerHost,
  dropListener,
  examine,
  identityOf,
  knownReports,
  prepareListener,
  prepareStage,
  runtimeBeside,
  takeStage,
  type EngineContext,
} from './context.ts';
import { removeProbes } from './examine.ts';
import { liveInit } from './first-process.ts';
import { noRoom } from './full-disk.ts';
import { askGvisorToEnd, countInside } from './gvisor/inside.ts';
import { homeImage, removeBlankDrafts } from './home-disk.ts';
import { processesInside, waitUntil } from '../processes.ts';
import { requireHost } from '../require-layers.ts';
import { changeRecord, claimNames } from '../workspace/claim-names.ts';
import { fillReady, fillReadySoon, keepHomes } from './ready-filling.ts';
import { drop, forgetReady, passOn, takeReady } from './ready.ts';
import type { Ready } from './ready-container.ts';
import { containerOf, type EngineRecord } from '../records.ts';
import { runtimeCall } from './runtime.ts';
import { deleteContainer, forget, freeSlot, tearDown } from './tear-down.ts';

/**
 * From nothing to a running sandbox and back. The record is written before the first effect and removed after the last, so
 * whatever a kill leaves behind is listed, and `removeSandbox` takes it away.
 */

export async function createSandbox(context: EngineContext, spec: SandboxSpec, { signal }: Abortable): Promise<void> {
  parseSandboxId(spec.id);
  await requireHost(await knownReports(context, spec.runtime), spec, () => examine(context, spec.runtime));
  const undo = cleanupStack();
  try {
    signal?.throwIfAborted();
    const host = await containerHost(context, spec.runtime);
    const ready = await takeReady(context, spec, host);
    undo.add('end what was ready', () => drop(context, ready));
    const slot = ready === undefined && context.isRoot ? await context.slots.take(spec.id) : ready?.record.slot;
    undo.add('free the id range', () => freeSlot(context, spec.id, slot));
    const container = ready?.record.spec.id;
    const base: EngineRecord = { version: 1, spec, container, slot, protections: [], placeholders: [] };
    await context.records.add(base);
    // Not before: a record that was there already is another sandbox's.
    undo.add('remove the sandbox', () => forget(context, base));
    await make(context, base, { host, ready, signal });
  } catch (error) {
    const full = isErrno(error, 'ENOSPC') ? noRoom(context.folders.state) : undefined;
    // Why it could not be made is what helps. What is left of it is listed, and goes when it is removed.
    await undo.run().catch(() => undefined);
    throw full ?? error;
  }
}

interface Making extends Abortable {
  readonly host: ContainerHost;
  readonly ready?: Ready | undefined;
}

/** Of a record that is on disk. The runtime is at work while the workspace is looked at. */
async function make(context: EngineContext, base: EngineRecord, { host, ready, signal }: Making): Promise<ProcessIdentity> {
  const beginning = ready === undefined ? begin(context, base, host) : passOn(context, ready, base);
  try {
    const [begun, content] = await allDone([beginning, claimNames(context, base)]);
    return await finishContainer(begun, content, { signal });
  } catch (error) {
    await beginning.then(abandon, () => undefined);
    throw error;
  }
}

async function begin(context: EngineContext, { spec, slot }: EngineRecord, host: ContainerHost): Promise<Begun> {
  const begun = await beginContainer(spec, host, { identity: await identityOf(context, slot), ready: takeStage(context) });
  prepareListener(context, spec.id);
  return begun;
}

/** The first process of the sandbox; where none lives, the container is made anew from the record. */
export async function ensureContainer(context: EngineContext, id: string, abort: Abortable): Promise<ProcessIdentity> {
  const alive = await liveInit(context.layout, id);
  if (alive !== undefined) {
    return alive;
  }
  const before = await context.records.get(id);
  // Listeners that were bound in it are in a network that is gone.
  await dropListener(context, id);
  await deleteContainer(context, before);
  const base = await changeRecord(context, id, (record) => ({ ...record, container: undefined }));
  return make(context, base, { host: await containerHost(context, base.spec.runtime), ...abort });
}

export async function startSandbox(context: EngineContext, id: string, abort: Abortable): Promise<void> {
  await ensureContainer(context, id, abort);
  // Whoever dies before this line leaves a sandbox that counts as not started.
  await writeFile(context.layout.sandbox(id).started, '', { mode: 0o600 });
  if (context.prepares === true) {
    fillReadySoon(context);
  }
}

export async function stopSandbox(context: EngineContext, id: string, graceMs: number): Promise<void> {
  const record = await context.records.read(id);
  if (record === undefined) {
    return;
  }
  const init = await liveInit(context.layout, id);
  if (init !== undefined && graceMs > 0) {
    await askToEnd(context, record, { init, graceMs });
  }
  await tearDown(context, record, { writesRecord: true });
}

export async function removeSandbox(context: EngineContext, id: string): Promise<void> {
  const record = await context.records.read(id);
  if (record !== undefined) {
    const usesDisk = await exists(homeImage(record.spec.home));
    await forget(context, record);
    prepareNext(context, record, usesDisk);
  }
}

/** What the next sandbox like this one would have to wait for. */
function prepareNext(context: EngineContext, { spec }: EngineRecord, usesDisk: boolean): void {
  if (context.prepares !== true) {
    return;
  }
  if (usesDisk) {
    keepHomes(context, spec.limits.diskBytes);
  }
  if (canWait(context, spec.runtime)) {
    fillReady(context);
  } else {
    context.behind(prepareStage(context));
  }
}

/** The signal is sent from inside, as the agent: no process id of the host is ever guessed. */
async function askToEnd(
  context: EngineContext,
  record: EngineRecord,
  { init, graceMs }: { readonly init: ProcessIdentity; readonly graceMs: number },
): Promise<void> {
  const isGvisor = record.spec.runtime === 'runsc';
  const count = async (): Promise<number> =>
    isGvisor ? ((await countInside({ context, record, keeper: init })) ?? 0) : (await processesInside(init)).length;
  const isAlone = async (): Promise<boolean> => (await count()) <= 1;
  if (await isAlone()) {
    return;
  }
  if (isGvisor) {
    await askGvisorToEnd({ context, record, keeper: init });
    await waitUntil(isAlone, graceMs);
    return;
  }
  const { spec } = record;
  const file = context.layout.sandbox(spec.id).processFile('stop');
  const command = { command: ['/bin/sh', '-c', 'kill -TERM -1'], cwd: '/', tty: false, executionId: 'stop' };
  await writeFile(file, JSON.stringify(commandProcess(spec, command)), { mode: 0o600 });
  await runtimeCall(await runtimeBeside(context, spec.runtime, init), ['exec', '--process', file, containerOf(record)]);
  await waitUntil(isAlone, graceMs);
}

/** What was made before a record told of it, or was left when the record was gone; and what waited for a sandbox in vain. */
export async function tidy(context: EngineContext): Promise<void> {
  const { records, slots, layout, folders } = context;
  const { covers, blanks } = layout;
  await forgetReady(context);
  await Promise.all([records.tidy(), slots.tidy(), removeDrafts(covers), removeBlankDrafts(blanks), removeProbes(folders.state)]);
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

/** From the process itself: a record or a file alone proves nothing. */
export async function stateOf(context: EngineContext, id: string): Promise<EngineSandbox['state']> {
  if ((await liveInit(context.layout, id)) === undefined) {
    return 'stopped';
  }
  return (await isStarted(context, id)) ? 'running' : 'created';
}

/** Of one whose first process lives. */
export async function isStarted({ layout }: EngineContext, id: string): Promise<boolean> {
  return await exists(layout.sandbox(id).started);
}
