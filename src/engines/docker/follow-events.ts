import { createInterface } from 'node:readline';

import { systemClock } from '../../system/clock.ts';
import type { Engine, Unmanaged } from '../engine.ts';
import { askedFor } from './asked-for.ts';
import { inspectContainer, killContainer, partOf } from './containers.ts';
import type { DockerContext } from './context.ts';
import type { Product } from './dialect.ts';
import { segment } from './docker-client.ts';
import { eventCursor } from './event-cursor.ts';
import { labels } from './labels.ts';
import type { OwnPart } from './own-effects.ts';
import { differences } from './read-back.ts';
import { toldOnce } from './told-once.ts';
import { fieldsOf, rowsOf, textOf, type Fields } from './read-json.ts';

/**
 * What others do to our containers, from the engine's events (Docker Engine API, "Monitor events"; podman-events(1)). What this
 * process did is known from `own-effects.ts`; every other event is someone else's.
 */

export interface Following {
  /** Listens from now on, once; an engine that no sandbox uses is not asked. */
  readonly begin: () => void;
  readonly close: () => void;
}

export type Tell = Parameters<NonNullable<Engine['watch']>>[0];

/** What the engine calls it, up to a colon; what it is called here. */
const deeds: Readonly<Record<string, Unmanaged['what']>> = {
  create: 'imitated',
  start: 'started',
  kill: 'killed',
  die: 'ended',
  destroy: 'removed',
  pause: 'paused',
  unpause: 'resumed',
  update: 'updated',
  rename: 'renamed',
  exec_create: 'command',
  connect: 'network-attached',
  disconnect: 'network-detached',
  'archive-path': 'read',
  'extract-to-dir': 'written',
  export: 'read',
  commit: 'read',
};

/** What Podman calls the same. A container is mounted, or its state written down, for whoever wants to read it. */
const wordsOfPodman: Readonly<Record<string, string>> = {
  died: 'die',
  remove: 'destroy',
  restore: 'start',
  exec: 'exec_create',
  checkpoint: 'export',
  mount: 'export',
};

const firstPauseMs = 500;
const greatestPauseMs = 30_000;

export function followEvents(context: DockerContext, tell: () => Tell | undefined): Following {
  const ending = new AbortController();
  let following: Promise<void> | undefined;
  return {
    begin() {
      if (tell() !== undefined) {
        following ??= follow(context, tell, ending.signal);
      }
    },
    close: () => ending.abort(),
  };
}

/** Until it is told to end: an engine that went away is asked again, for what happened since its last word, too. */
async function follow(context: DockerContext, tell: () => Tell | undefined, signal: AbortSignal): Promise<void> {
  let pauseMs = firstPauseMs;
  const told = toldOnce(systemClock.nowMs);
  const cursor = eventCursor(systemClock.nowMs);
  while (!signal.aborted) {
    const since = cursor.connect();
    try {
      // oxlint-disable-next-line no-await-in-loop -- one connection after the other
      const query = { ...filtersFor((await context.facts()).product), ...(since && { since }) };
      // oxlint-disable-next-line no-await-in-loop -- as above
      const events = await context.client.follow('/events', { query, signal });
      pauseMs = firstPauseMs;
      // oxlint-disable-next-line no-await-in-loop -- as above
      for await (const line of createInterface({ input: events, crlfDelay: Infinity })) {
        const at = timeOf(line);
        if (cursor.isAhead(at)) {
          const event = parsed(line);
          await (told.isNew(event, at) ? judge(context, event, tell) : undefined);
        }
      }
    } catch {
      // It is asked again below.
    }
    // oxlint-disable-next-line no-await-in-loop -- waiting is the point
    await pause(pauseMs, signal);
    pauseMs = Math.min(2 * pauseMs, greatestPauseMs);
  }
}

/** Versions of Podman understand filters differently, so it is asked for everything. */
function filtersFor(product: Product): Readonly<Record<string, string>> {
  return product === 'Podman' ? {} : { filters: JSON.stringify({ type: ['container', 'network'], event: Object.keys(deeds) }) };
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  timer.unref();
  signal.addEventListener('abort', () => resolve(), { once: true });
  await promise;
  clearTimeout(timer);
}

function parsed(line: string): Fields {
  try {
    return fieldsOf(JSON.parse(line));
  } catch {
    return {};
  }
}

/** As `engineTime` writes it. */
function timeOf(line: string): string {
  const nanoseconds = /"timeNano":(\d+)/.exec(line)?.[1] ?? '0';
  return `${nanoseconds.slice(0, -9)}.${nanoseconds.slice(-9)}`;
}

async function judge(context: DockerContext, event: Fields, tell: () => Tell | undefined): Promise<void> {
  // A fault in one must not keep the others from being seen.
  const change = await unmanaged(context, event).catch(() => undefined);
  if (change !== undefined) {
    tell()?.(change);
  }
  if (actionOf(event) === 'destroy') {
    context.effects.forget(textOf(fieldsOf(event['Actor'])['ID']));
  }
}

/** As Docker calls it, without what stands behind a colon. */
function actionOf(event: Fields): string {
  const word = textOf(event['Action']).split(':')[0] ?? '';
  return wordsOfPodman[word] ?? word;
}

/** `undefined`: it concerns nobody here, or was done here. */
export async function unmanaged(context: DockerContext, event: Fields): Promise<Unmanaged | undefined> {
  const deed = deedIn(event);
  const own = deed && (await partOfOurs(context, event, deed));
  if (deed === undefined || own === undefined || isBeside(own, deed) || (await isOurs(context, deed))) {
    return undefined;
  }
  const { what, container } = deed;
  const leaves = await consequence(context, { what, container, own });
  if (leaves === 'another') {
    await end(context, own.sandbox);
  }
  const detail = await detailOf(context, deed);
  return { id: own.sandbox, what, detail: { part: own.part, ...detail }, leaves };
}

/** At once: whatever has become of it must not go on until somebody has been told. The rest of it goes with its stop. */
async function end(context: DockerContext, sandbox: string): Promise<void> {
  const own = await partOf(context, sandbox, 'sandbox');
  if (own !== undefined) {
    await killContainer(context, own.id);
  }
}

function deedIn(event: Fields): Deed | undefined {
  const actor = fieldsOf(event['Actor']);
  const attributes = fieldsOf(actor['Attributes']);
  const what = deeds[actionOf(event)];
  const isNetwork = event['Type'] === 'network';
  // Of a network Docker names the container beside it, Podman in its place.
  const container = (isNetwork && textOf(attributes['container'])) || textOf(actor['ID']);
  return what === undefined || !(isNetwork || event['Type'] === 'container') ? undefined : { what, container, attributes };
}

async function partOfOurs({ effects, mark }: DockerContext, event: Fields, { container, attributes }: Deed) {
  const isMarked = event['Type'] === 'container' && attributes[labels.engine] === (await mark());
  return effects.sandboxOf(container) ?? (isMarked ? partIn(attributes) : undefined);
}

function partIn(attributes: Fields): OwnPart {
  return { sandbox: textOf(attributes[labels.sandbox]), part: textOf(attributes[labels.part]) };
}

interface Deed {
  readonly what: Unmanaged['what'];
  readonly container: string;
  readonly attributes: Fields;
}

/**
 * Containers beside a sandbox come and go as programs inside want, and no deed on one changes what the sandbox is; nor does one
 * on its uplink, which has nothing of it, or on the observer, which is no sandbox's.
 */
function isBeside({ part }: OwnPart, { what }: Deed): boolean {
  return part === 'nested' || part === 'observer' || (part === 'uplink' && what !== 'imitated');
}

async function isOurs({ effects }: DockerContext, { what, container, attributes }: Deed): Promise<boolean> {
  if (what === 'command') {
    const exec = textOf(attributes['execID']);
    return exec === '' ? effects.wasCommandHere(container) : effects.wasMadeHere(exec);
  }
  if (what === 'imitated') {
    return effects.wasMadeHere(container);
  }
  if (what === 'started') {
    return effects.wasStartedHere(container);
  }
  // With its start a container is put into the network that is none.
  if (what === 'network-attached' && attributes['type'] === 'null') {
    return true;
  }
  const isEnd = what === 'killed' || what === 'ended' || what === 'removed' || what === 'network-detached';
  return isEnd && effects.endsHere(container);
}

/** A word or two each. What a command was given stays out: it may hold a secret. */
async function detailOf(context: DockerContext, { what, container, attributes }: Deed): Promise<Unmanaged['detail']> {
  if (what === 'command') {
    const exec = textOf(attributes['execID']) || (await strangeCommand(context, container));
    if (exec === '') {
      return {};
    }
    const told = fieldsOf(await context.client.must('GET', `/exec/${segment(exec)}/json`).catch(() => undefined));
    const command = fieldsOf(told['ProcessConfig']);
    return {
      program: textOf(command['entrypoint']),
      user: textOf(command['user']) || 'as the container',
      privileged: command['privileged'] === true,
    };
  }
  const named = { killed: 'signal', ended: 'exitCode', 'network-attached': 'name', 'network-detached': 'name' } as const;
  const key = Object.entries(named).find(([name]) => name === what)?.[1];
  return key === undefined ? {} : { [key === 'name' ? 'network' : key]: textOf(attributes[key]) };
}

/** Podman's events do not say which command, and its list has no order: one that runs and is not ours; nothing where there is none. */
async function strangeCommand(context: DockerContext, container: string): Promise<string> {
  const told = fieldsOf(await inspectContainer(context, container).catch(() => undefined));
  const ids = rowsOf(told['ExecIDs']).map(textOf);
  const fits = await Promise.all(
    ids.map(async (id) => {
      const command = fieldsOf(await context.client.must('GET', `/exec/${segment(id)}/json`).catch(() => undefined));
      return command['Running'] === true && !(await context.effects.wasMadeHere(id));
    }),
  );
  return ids.find((_, index) => fits[index] === true) ?? '';
}

interface Consequence {
  readonly what: Unmanaged['what'];
  readonly container: string;
  readonly own: OwnPart;
}

/** Whether it is still what was planned: what can be asked is asked, of a container that somebody else started nothing is known. */
async function consequence(context: DockerContext, { what, container, own }: Consequence): Promise<Unmanaged['leaves']> {
  if (what === 'ended' || what === 'removed') {
    return own.part === 'sandbox' ? 'ended' : 'another';
  }
  if (what === 'network-attached' || what === 'started') {
    return 'another';
  }
  if (what !== 'updated') {
    return 'as-planned';
  }
  const asked = own.part === 'sandbox' ? await askedFor(context.sandbox(own.sandbox).askedFor) : undefined;
  // What Podman gave to the runtime stays written as it was, whatever was changed later.
  if (asked === undefined || (await context.facts()).product === 'Podman') {
    return 'another';
  }
  return differences(asked.body, await inspectContainer(context, container)).length > 0 ? 'another' : 'as-planned';
}
