import { renameSync, statSync } from 'node:fs';

import type { Ready } from './ready-container.ts';
import { isSameProcess } from '../../system/process-identity.ts';
import { keepTrying } from '../../system/keep-trying.ts';
import type { SandboxSpec } from '../engine.ts';
import { abandon, beginContainer, heldContainer, kindOfContainer, type Begun, type ContainerHost } from './container.ts';
import { identityOf, newListener, type EngineContext } from './context.ts';
import { passHeld } from './home-disk.ts';
import { listenInside } from '../listen.ts';
import { bareSpec, noteWish, takeWaiting } from './ready-place.ts';
import type { EngineRecord } from '../records.ts';
import { forget, freeSlot } from './tear-down.ts';

/** Of this kind, for whoever asks. */
export async function makeReady(context: EngineContext, like: SandboxSpec, host: ContainerHost): Promise<Ready> {
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
    return { record, kind, begun, ...(await holding(context, begun, spec)) };
  } catch (error) {
    await forget(context, record);
    throw error;
  }
}

async function holding(context: EngineContext, begun: Begun, spec: SandboxSpec): Promise<Pick<Ready, 'init' | 'bound'>> {
  const listener = newListener(context);
  try {
    const init = await heldContainer(begun, spec);
    const { ports = { tcp: [], udp: [] } } = spec;
    const ingress = await listenInside(String(init.pid), ports, { listener });
    ingress.rest();
    return { init, bound: { ports, ingress } };
  } catch (error) {
    listener.end();
    await abandon(begun);
    throw error;
  }
}

/** With the place of the image on disk: one that was removed and built anew is another. */
export async function kindOf(context: EngineContext, spec: SandboxSpec, host: ContainerHost): Promise<string> {
  const { dev, ino } = statSync(spec.rootfs, { bigint: true });
  const identity = await identityOf(context, context.isRoot ? 0 : undefined);
  return `${spec.rootfs} ${dev} ${ino} ${kindOfContainer(spec, host, identity)}`;
}

export async function isFit({ begun, init }: Ready): Promise<boolean> {
  return !begun.stage.hasEnded() && (await isSameProcess(init));
}

/** One that waits and is of this kind, if there is any; nobody else gets it then. */
export async function takeReady(context: EngineContext, spec: SandboxSpec, host: ContainerHost): Promise<Ready | undefined> {
  const { place } = context;
  noteWish(place, spec);
  for (let next = takeWaiting(place, spec); next !== undefined; next = takeWaiting(place, spec)) {
    // oxlint-disable-next-line no-await-in-loop -- seldom more than one
    const ready = await next.ready;
    // oxlint-disable-next-line no-await-in-loop -- as above
    if (ready !== undefined && ready.kind === (await kindOf(context, spec, host)) && (await isFit(ready))) {
      return ready;
    }
    // Whoever asked need not wait until it is gone.
    context.behind(drop(context, ready));
  }
  return undefined;
}

/** After the sandbox has its own record, in which `container` names this one. */
export async function passOn(context: EngineContext, { record, begun, bound }: Ready, to: EngineRecord): Promise<Begun> {
  const [from, id] = [record.spec.id, to.spec.id];
  context.bound.set(id, bound);
  // Whatever of these is done when we are killed, each record finds what is still its own.
  await (record.slot === undefined ? undefined : context.slots.pass(record.slot, from, id));
  passHeld(context.layout.blanks, from, id);
  renameSync(context.layout.sandbox(from).folder, context.layout.sandbox(id).folder);
  await context.records.remove(from);
  return begun;
}

/** Ends it as it is; nothing is left. Also one that an earlier process left behind. */
export async function drop(context: EngineContext, ready: Ready | undefined): Promise<void> {
  if (ready !== undefined) {
    await ready.bound.ingress.close();
    await abandon(ready.begun);
    // Nobody asks for it again, and each step can be done again.
    await keepTrying(() => forgetIfThere(context, ready.record.spec.id), { attempts: 5, waitMs: 100 });
  }
}

async function forgetIfThere(context: EngineContext, id: string): Promise<void> {
  const record = await context.records.read(id);
  if (record !== undefined) {
    await forget(context, record);
  }
}

/** What processes before this one made ready and did not live to use. */
export async function forgetReady(context: EngineContext): Promise<void> {
  const stale = (await context.records.all()).filter(({ ready }) => ready === true);
  await Promise.all(stale.map((record) => forget(context, record)));
}
