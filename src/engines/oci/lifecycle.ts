import { rm, stat, writeFile } from 'node:fs/promises';

import { allDone } from '../../base/all-done.ts';
import { cleanupStack } from '../../base/cleanup.ts';
import { CasemateError } from '../../base/errors.ts';
import { parseSandboxId } from '../../base/ids.ts';
import { isErrno, removeDrafts } from '../../system/files.ts';
import type { ProcessIdentity } from '../../system/process-identity.ts';
import type { Abortable, EngineSandbox, LayerReport, SandboxSpec } from '../engine.ts';
import { commandProcess } from './bundle.ts';
import { clearCgroups } from './cgroups.ts';
import { liveInit, makeContainer } from './container.ts';
import {
  containerHost,
  dropListener,
  knownReports,
  prepareListener,
  prepareStage,
  runtimeBeside,
  runtimeOf,
  takeStage,
  type EngineContext,
} from './context.ts';
import { removeProbes } from './examine.ts';
import { fullDisk } from './full-disk.ts';
import { askGvisorToEnd, countInside } from './gvisor/inside.ts';
import { homeImage, keepBlank, removeBlankDrafts } from './home-disk.ts';
import { removePlaceholders } from './placeholders.ts';
import { killProcess, processesInside, waitUntil, waitUntilGone } from './processes.ts';
import type { Protection } from './protect.ts';
import { protectionsOf } from './protections.ts';
import type { EngineRecord } from './records.ts';
import { containerState, runtimeCall, runtimeMust, type RuntimeOptions } from './runtime.ts';

/**
 * From nothing to a running sandbox and back. The record is written before the first effect and removed after the last,
 * so whatever a kill leaves behind is listed, and `removeSandbox` takes it away.
 */

export async function createSandbox(context: EngineContext, spec: SandboxSpec, abort: Abortable): Promise<void> {
  parseSandboxId(spec.id);
  requireLayers(await knownReports(context, spec.runtime), spec);
  const undo = cleanupStack();
  try {
    const slot = context.isRoot ? await context.slots.take(spec.id) : undefined;
    undo.add('free the id range', () => freeSlot(context, spec.id, slot));
    const base = { version: 1, spec, slot, protections: [], placeholders: [] } as const;
    const write = async (record: EngineRecord): Promise<void> => {
      await context.records.add(record);
      // Not before: a record that was there already is another sandbox's.
      undo.add('remove the sandbox', () => forget(context, record));
    };
    const [{ record, protections }, host] = await allDone([planned(context, base, write), containerHost(context, base)]);
    await makeContainer(record, protections, host, {
      ...abort,
      ready: takeStage(context),
      meanwhile: () => prepareListener(context, spec.id),
    });
  } catch (error) {
    const full = isErrno(error, 'ENOSPC') ? await fullDisk(context.folders.state) : undefined;
    // Why it could not be made is what helps. What is left of it is listed, and goes when it is removed.
    await undo.run().catch(() => undefined);
    throw full ?? error;
  }
}

interface Planned {
  readonly record: EngineRecord;
  readonly protections: readonly Protection[];
}

/** No placeholder of another sandbox may go between looking at the workspace and writing down what is protected. */
function planned(context: EngineContext, base: EngineRecord, write: (record: EngineRecord) => Promise<void>): Promise<Planned> {
  return context.exclusive('placeholders', async () => {
    const protections = await protectionsOf(base.spec);
    // What an earlier start made, or another sandbox handed over, is still to be removed.
    const made = protections.flatMap(({ path, placeholder }) => (placeholder === undefined ? [] : [{ path, placeholder }]));
    const kept = base.placeholders.filter(({ path }) => !made.some((row) => row.path === path));
    const record = { ...base, protections: protections.map(({ path }) => path), placeholders: [...kept, ...made] };
    await write(record);
    return { record, protections };
  });
}

/** No start on a host that lacks a layer, unless a human accepted that by its name. */
export function requireLayers(reports: readonly LayerReport[], { waived }: SandboxSpec): void {
  const absent = reports.find(({ missingTool }) => missingTool !== undefined);
  if (absent !== undefined) {
    throw new CasemateError('TOOL_MISSING', absent.detail, { hint: 'casemate doctor shows all that is missing.' });
  }
  const lacking = reports.filter(({ layer, available }) => !available && !waived.includes(layer));
  if (lacking.length > 0) {
    throw new CasemateError('LAYER_MISSING', lacking.map(({ layer, detail }) => `${layer}: ${detail}`).join('; '), {
      hint: `Fix the host, or accept the loss by name: ${lacking.map(({ layer }) => `--waive ${layer}`).join(' ')} (or under \`waive\` in your own policy).`,
    });
  }
}

/** The first process of the sandbox; where none lives, the container is made anew from the record. */
export async function ensureContainer(context: EngineContext, id: string, abort: Abortable): Promise<ProcessIdentity> {
  const alive = await liveInit(context.layout, id);
  if (alive !== undefined) {
    return alive;
  }
  const before = await context.records.get(id);
  await deleteContainer(context, before);
  const { record, protections } = await planned(context, before, context.records.replace);
  return makeContainer(record, protections, await containerHost(context, record), abort);
}

export async function startSandbox(context: EngineContext, id: string, abort: Abortable): Promise<void> {
  await ensureContainer(context, id, abort);
  // Whoever dies before this line leaves a sandbox that counts as not started.
  await writeFile(context.layout.sandbox(id).started, '', { mode: 0o600 });
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
    await forget(context, record);
    await prepareNext(context, record);
  }
}

/** What the next sandbox like this one would have to wait for. It does without where this fails. */
async function prepareNext(context: EngineContext, { spec }: EngineRecord): Promise<void> {
  const { layout, env, exclusive } = context;
  await prepareStage(context);
  if (await exists(homeImage(spec.home))) {
    const { diskBytes: sizeBytes } = spec.limits;
    await exclusive('blanks', () => keepBlank(layout.blanks, { env, sizeBytes })).catch(() => undefined);
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
  await runtimeCall(await runtimeBeside(context, spec.runtime, init), ['exec', '--process', file, spec.id]);
  await waitUntil(isAlone, graceMs);
}

async function forget(context: EngineContext, record: EngineRecord): Promise<void> {
  // A full disk takes no new record, and none is needed: until the last step the one that is there lists everything.
  await tearDown(context, record, { writesRecord: false });
  await context.records.remove(record.spec.id);
  await freeSlot(context, record.spec.id, record.slot);
}

/** What was made before a record told of it, or was left when the record was gone. */
export async function tidy({ records, slots, layout, folders }: EngineContext): Promise<void> {
  const { covers, blanks } = layout;
  await Promise.all([records.tidy(), slots.tidy(), removeDrafts(covers), removeBlankDrafts(blanks), removeProbes(folders.state)]);
}

async function freeSlot({ slots }: EngineContext, id: string, slot: number | undefined): Promise<void> {
  if (slot !== undefined) {
    await slots.free(slot, id);
  }
}

interface TearDown {
  readonly writesRecord: boolean;
}

async function tearDown(context: EngineContext, record: EngineRecord, options: TearDown): Promise<void> {
  dropListener(context, record.spec.id);
  await deleteContainer(context, record);
  await context.exclusive('placeholders', () => clearWorkspace(context, record.spec.id, options));
  await rm(context.layout.sandbox(record.spec.id).folder, { recursive: true, force: true });
}

/** The record as it is now: another sandbox may have handed something over. */
async function clearWorkspace({ records }: EngineContext, id: string, { writesRecord }: TearDown): Promise<void> {
  const record = await records.get(id);
  const { handOver } = await removePlaceholders(record, await records.all());
  if (writesRecord) {
    await records.replace({ ...record, protections: [], placeholders: [] });
  }
  for (const { to, placeholders } of handOver) {
    // oxlint-disable-next-line no-await-in-loop -- several may go to one
    const heir = await records.get(to.spec.id);
    // oxlint-disable-next-line no-await-in-loop -- as above
    await records.replace({ ...heir, placeholders: [...heir.placeholders, ...placeholders] });
  }
}

async function deleteContainer(context: EngineContext, { spec }: EngineRecord): Promise<void> {
  // The folder is made before the container and removed after it.
  if (!(await exists(context.layout.sandbox(spec.id).folder))) {
    return;
  }
  const runtime = runtimeOf(context, spec.runtime);
  const init = await liveInit(context.layout, spec.id);
  if (init !== undefined) {
    // The first process takes the others with it. Its identity was read just now.
    killProcess(init.pid);
    await waitUntilGone(init, 10_000);
  }
  if (spec.runtime !== 'runsc') {
    await deleteByRuntime(runtime, spec.id);
  }
  if (context.isRoot) {
    await clearCgroups(spec.id);
  }
}

/** What the runtime itself remembers. gVisor's memory of a sandbox lies in the sandbox's folder and goes with it. */
async function deleteByRuntime(runtime: RuntimeOptions, id: string): Promise<void> {
  const result = await runtimeCall(runtime, ['delete', id]);
  if (result.exitCode !== 0 && (await containerState(runtime, id)) !== undefined) {
    await runtimeMust(runtime, ['delete', '--force', id]);
  }
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

/** From the process itself: a record or a file alone proves nothing. */
export async function stateOf({ layout }: EngineContext, id: string): Promise<EngineSandbox['state']> {
  if ((await liveInit(layout, id)) === undefined) {
    return 'stopped';
  }
  return (await exists(layout.sandbox(id).started)) ? 'running' : 'created';
}
