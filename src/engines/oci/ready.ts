import { rename, stat } from 'node:fs/promises';

import { newSandboxId } from '../../base/ids.ts';
import { isSameProcess, type ProcessIdentity } from '../../system/process-identity.ts';
import type { SandboxSpec } from '../engine.ts';
import {
  abandon,
  beginContainer,
  heldContainer,
  kindOfContainer,
  takesMountsLater,
  type Begun,
  type ContainerHost,
} from './container.ts';
import { containerHost, identityOf, type EngineContext } from './context.ts';
import type { EngineRecord } from '../records.ts';
import { forget, freeSlot } from './tear-down.ts';

/**
 * A container that waits for its sandbox: of the image and the limits that the last one had, with a first process that
 * sleeps, and without workspace, home, files, name or anything secret. Whoever asks for the same kind gets it and has its
 * own mounts handed in. It has a record like every other, and its first process ends with this one.
 */
export interface Ready {
  readonly record: EngineRecord;
  readonly kind: string;
  readonly init: ProcessIdentity;
  readonly begun: Begun;
}

export interface ReadyPlace {
  /** what is being made, or was, and roughly for whom */
  next: { readonly likeness: string; readonly ready: Promise<Ready | undefined> } | undefined;
}

/** Makes one for sandboxes like this, in place of one for others. It does without where this fails. */
export function keepReady(context: EngineContext, like: SandboxSpec): void {
  const { place } = context;
  const before = place.next?.ready;
  place.next = { likeness: likenessOf(like), ready: replace(context, like, before).catch(() => undefined) };
}

/** Known at once, so that nobody waits for one that is made for others. */
function likenessOf({ owner, runtime, rootfs, limits }: SandboxSpec): string {
  return JSON.stringify([owner, runtime, rootfs, limits]);
}

async function replace(
  context: EngineContext,
  like: SandboxSpec,
  before: Promise<Ready | undefined> | undefined,
): Promise<Ready | undefined> {
  const old = await before;
  const host = await containerHost(context, like.runtime);
  if (old !== undefined && (await isFit(old)) && old.kind === (await kindOf(context, like, host))) {
    return old;
  }
  await drop(context, old);
  return takesMountsLater(host.runtime) ? await make(context, like, host) : undefined;
}

async function make(context: EngineContext, like: SandboxSpec, host: ContainerHost): Promise<Ready> {
  const spec = bareSpec(like);
  const { id } = spec;
  const kind = await kindOf(context, spec, host);
  const slot = context.isRoot ? await context.slots.take(id) : undefined;
  const record: EngineRecord = { version: 1, spec, ready: true, slot, protections: [], placeholders: [] };
  try {
    await context.records.add(record);
  } catch (error) {
    await freeSlot(context, id, slot);
    throw error;
  }
  try {
    const identity = await identityOf(context, slot);
    const begun = await beginContainer(spec, host, { identity, hold: true });
    return { record, kind, begun, init: await holding(begun, spec) };
  } catch (error) {
    await forget(context, record);
    throw error;
  }
}

async function holding(begun: Begun, spec: SandboxSpec): Promise<ProcessIdentity> {
  try {
    return await heldContainer(begun, spec);
  } catch (error) {
    await abandon(begun);
    throw error;
  }
}

/** Until its sandbox gives it a name. */
export const readyHostname = 'ready';

/** What is of one sandbox alone is left out. */
function bareSpec(like: SandboxSpec): SandboxSpec {
  const workspace = { path: '/', mode: 'readonly', protect: [] } as const;
  const files = like.files.map(({ target }) => ({ source: '', target }));
  return { ...like, id: newSandboxId(), hostname: readyHostname, workspace, home: '', files, env: {} };
}

/** With the place of the image on disk: one that was removed and built anew is another. */
async function kindOf(context: EngineContext, spec: SandboxSpec, host: ContainerHost): Promise<string> {
  const { dev, ino } = await stat(spec.rootfs, { bigint: true });
  const identity = await identityOf(context, context.isRoot ? 0 : undefined);
  return `${spec.rootfs} ${dev} ${ino} ${kindOfContainer(spec, host, identity)}`;
}

async function isFit({ begun, init }: Ready): Promise<boolean> {
  return !begun.stage.hasEnded() && (await isSameProcess(init));
}

/** The one that waits, if it is of this kind; nobody else gets it then. */
export async function takeReady(context: EngineContext, spec: SandboxSpec, host: ContainerHost): Promise<Ready | undefined> {
  const { place } = context;
  const { next } = place;
  if (next === undefined || next.likeness !== likenessOf(spec)) {
    return undefined;
  }
  place.next = undefined;
  const ready = await next.ready;
  if (ready === undefined || (ready.kind === (await kindOf(context, spec, host)) && (await isFit(ready)))) {
    return ready;
  }
  // Whoever asked need not wait until it is gone.
  context.behind(drop(context, ready));
  return undefined;
}

/** After the sandbox has its own record, in which `container` names this one. */
export async function passOn(context: EngineContext, { record, begun }: Ready, to: EngineRecord): Promise<Begun> {
  const [from, id] = [record.spec.id, to.spec.id];
  if (record.slot !== undefined) {
    await context.slots.pass(record.slot, from, id);
  }
  await rename(context.layout.sandbox(from).folder, context.layout.sandbox(id).folder);
  await context.records.remove(from);
  return begun;
}

/** Ends it as it is; nothing is left. Also one that an earlier process left behind. */
export async function drop(context: EngineContext, ready: Pick<Ready, 'record' | 'begun'> | undefined): Promise<void> {
  if (ready !== undefined) {
    await abandon(ready.begun);
    await forgetIfThere(context, ready.record.spec.id);
  }
}

async function forgetIfThere(context: EngineContext, id: string): Promise<void> {
  const record = await context.records.read(id);
  if (record !== undefined) {
    await forget(context, record);
  }
}

/** At the end of this process. */
export async function dropReady(context: EngineContext): Promise<void> {
  const { next } = context.place;
  context.place.next = undefined;
  await drop(context, await next?.ready);
}

/** What processes before this one made ready and did not live to use. */
export async function forgetReady(context: EngineContext): Promise<void> {
  const stale = (await context.records.all()).filter(({ ready }) => ready === true);
  await Promise.all(stale.map((record) => forget(context, record)));
}
