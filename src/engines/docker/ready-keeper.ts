import { chmod, mkdir, rename, rm } from 'node:fs/promises';

import { newSandboxId } from '../../base/ids.ts';
import { privateFolder } from '../../system/files.ts';
import { keepTrying } from '../../system/keep-trying.ts';
import type { SandboxSpec } from '../engine.ts';
import type { EngineRecord } from '../records.ts';
import { ownContainers, removeContainer } from './containers.ts';
import { firstProcess } from './first-process.ts';
import type { DockerContext } from './context.ts';
import type { ReadyKeeper } from './keeper-place.ts';

/** What `make` needs to make one; answers the id of the container. */
export type MakeKeeper = (spec: SandboxSpec) => Promise<{ readonly container: string; readonly image: string }>;

const refillMs = 300;
/** nobody has asked for so long: it is given up */
const idleMs = 5 * 60_000;

/** Until its sandbox gives it a name. */
const readyHostname = 'ready';

/** Makes as many as may wait, for sandboxes like this one. It does without where that fails. */
export function fillKeepers(context: DockerContext, like: SandboxSpec, make: MakeKeeper): void {
  const { keepers: place, options } = context;
  if (options.prepares !== true || place.isClosed) {
    return;
  }
  clearTimeout(place.idle);
  place.idle = setTimeout(() => void dropKeepers(context), idleMs).unref();
  // Later, so that it does not work against the one that has just started.
  clearTimeout(place.soon);
  place.soon = setTimeout(() => fill(context, like, make), refillMs).unref();
}

function fill(context: DockerContext, like: SandboxSpec, make: MakeKeeper): void {
  const { keepers: place } = context;
  while (place.waiting.size < place.count && !place.isClosed) {
    const made: Promise<ReadyKeeper | undefined> = makeReady(context, like, make).catch(() => undefined);
    place.waiting.add(made);
    void made.then((ready) => ready === undefined && place.waiting.delete(made));
  }
}

async function makeReady(context: DockerContext, like: SandboxSpec, make: MakeKeeper): Promise<ReadyKeeper> {
  const id = newSandboxId();
  const workspace = { path: '/', mode: 'readonly', protect: [] } as const;
  const spec: SandboxSpec = { ...like, id, hostname: readyHostname, workspace, home: '', files: [], env: {} };
  await context.records.add({ version: 1, spec, ready: true, slot: undefined, protections: [], placeholders: [] });
  try {
    await uplinkFolder(context, id);
    return { id, ...(await make(spec)) };
  } catch (error) {
    await forgetKeeper(context, id);
    throw error;
  }
}

/** Where a keeper and this process meet; nobody else can look in. */
export async function uplinkFolder(context: DockerContext, id: string): Promise<void> {
  const { folder, uplink } = context.sandbox(id);
  await privateFolder(context.options.folders.run);
  await privateFolder(folder);
  await mkdir(uplink, { recursive: true, mode: 0o711 });
  await chmod(uplink, 0o711);
}

/** One that runs, of this image; nobody else gets it then. */
export async function takeKeeper(context: DockerContext, image: string): Promise<ReadyKeeper | undefined> {
  const { keepers: place } = context;
  for (const waiting of place.waiting) {
    place.waiting.delete(waiting);
    // oxlint-disable-next-line no-await-in-loop -- seldom more than one
    const ready = await waiting;
    // oxlint-disable-next-line no-await-in-loop -- as above
    if (ready?.image === image && (await firstProcess(context, ready.container)) !== undefined) {
      return ready;
    }
    if (ready !== undefined) {
      void forgetKeeper(context, ready.id).catch(() => undefined);
    }
  }
  return undefined;
}

/** After the sandbox has its own record, in which `container` names this one. */
export async function passKeeper(context: DockerContext, ready: ReadyKeeper, sandbox: string): Promise<void> {
  const [from, to] = [context.sandbox(ready.id), context.sandbox(sandbox)];
  await rename(from.uplink, to.uplink);
  await rm(from.folder, { recursive: true, force: true });
  await context.records.remove(ready.id);
  context.effects.know(ready.container, { sandbox, part: 'keeper' });
}

/** At the end of this process, or when nobody asks any more. */
export async function dropKeepers(context: DockerContext): Promise<void> {
  const { waiting, soon, idle } = context.keepers;
  clearTimeout(soon);
  clearTimeout(idle);
  const made = [...waiting];
  waiting.clear();
  await Promise.all(
    made.map(async (one) => {
      const ready = await one;
      await (ready === undefined ? undefined : forgetKeeper(context, ready.id));
    }),
  );
}

/** Nobody asks for it again, and each step can be done again. */
async function forgetKeeper(context: DockerContext, id: string): Promise<void> {
  await keepTrying(() => removeKeeper(context, id), { attempts: 5, waitMs: 100 });
}

async function removeKeeper(context: DockerContext, id: string): Promise<void> {
  await Promise.all((await ownContainers(context, id)).map(({ id: container }) => removeContainer(context, container)));
  await rm(context.sandbox(id).folder, { recursive: true, force: true });
  await context.records.remove(id);
}

/** What processes before this one made ready and did not live to use, or to hand over to the end. */
export async function forgetReady(context: DockerContext, records: readonly EngineRecord[]): Promise<void> {
  const taken = new Set(records.map(({ container }) => container));
  const stale = records.filter(({ ready }) => ready === true).map(({ spec }) => spec.id);
  await Promise.all(stale.map((id) => (taken.has(id) ? context.records.remove(id) : forgetKeeper(context, id))));
}
