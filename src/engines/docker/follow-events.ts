import { createInterface } from 'node:readline';

import type { Engine, Unmanaged } from '../engine.ts';
import { askedFor } from './asked-for.ts';
import { inspectContainer, killContainer, partOf } from './containers.ts';
import type { DockerContext } from './context.ts';
import { segment } from './docker-client.ts';
import { labels } from './labels.ts';
import type { OwnPart } from './own-effects.ts';
import { differences } from './read-back.ts';
import { fieldsOf, textOf, type Fields } from './read-json.ts';

/**
 * Deeds of others to containers of ours, by the events of the engine (Docker Engine API, "Monitor events"). What this process
 * did itself is known by `own-effects.ts`; whatever else there is, is somebody else's.
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
  let last: string | undefined;
  let pauseMs = firstPauseMs;
  const filters = JSON.stringify({ type: ['container', 'network'], event: Object.keys(deeds) });
  while (!signal.aborted) {
    try {
      // oxlint-disable-next-line no-await-in-loop -- one connection after the other
      const events = await context.client.follow('/events', { query: { filters, ...(last && { since: last }) }, signal });
      pauseMs = firstPauseMs;
      // oxlint-disable-next-line no-await-in-loop -- as above
      for await (const line of createInterface({ input: events, crlfDelay: Infinity })) {
        const at = timeOf(line);
        if (last === undefined || at > last) {
          last = at;
          await judge(context, parsed(line), tell);
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

/** Seconds and nine digits behind the point, as `since` takes them; as texts they are in the order of time. */
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
  if (event['Action'] === 'destroy') {
    context.effects.forget(textOf(fieldsOf(event['Actor'])['ID']));
  }
}

/** `undefined`: it concerns nobody here, or was done here. */
export async function unmanaged(context: DockerContext, event: Fields): Promise<Unmanaged | undefined> {
  const { effects, mark } = context;
  const actor = fieldsOf(event['Actor']);
  const attributes = fieldsOf(actor['Attributes']);
  const isNetwork = event['Type'] === 'network';
  const container = isNetwork ? textOf(attributes['container']) : textOf(actor['ID']);
  const what = deeds[textOf(event['Action']).split(':')[0] ?? ''];
  const isMarked = !isNetwork && attributes[labels.engine] === (await mark());
  const own = effects.sandboxOf(container) ?? (isMarked ? partIn(attributes) : undefined);
  // Containers beside a sandbox come and go as programs inside want, and no deed on one changes what the sandbox is.
  if (
    what === undefined ||
    own === undefined ||
    own.part === 'nested' ||
    (await isOurs(context, { what, container, attributes }))
  ) {
    return undefined;
  }
  const leaves = await consequence(context, { what, container, own });
  if (leaves === 'another') {
    await end(context, own.sandbox);
  }
  return { id: own.sandbox, what, detail: { part: own.part, ...(await detailOf(context, what, attributes)) }, leaves };
}

/** At once: whatever has become of it must not go on until somebody has been told. The rest of it goes with its stop. */
async function end(context: DockerContext, sandbox: string): Promise<void> {
  const own = await partOf(context, sandbox, 'sandbox');
  if (own !== undefined) {
    await killContainer(context, own.id);
  }
}

function partIn(attributes: Fields): OwnPart {
  return { sandbox: textOf(attributes[labels.sandbox]), part: textOf(attributes[labels.part]) };
}

interface Deed {
  readonly what: Unmanaged['what'];
  readonly container: string;
  readonly attributes: Fields;
}

async function isOurs({ effects }: DockerContext, { what, container, attributes }: Deed): Promise<boolean> {
  if (what === 'command') {
    return effects.wasMadeHere(textOf(attributes['execID']));
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
async function detailOf({ client }: DockerContext, what: Unmanaged['what'], attributes: Fields): Promise<Unmanaged['detail']> {
  if (what === 'command') {
    const told = fieldsOf(await client.must('GET', `/exec/${segment(textOf(attributes['execID']))}/json`).catch(() => undefined));
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
  const told = await inspectContainer(context, container);
  const asked = own.part === 'sandbox' ? await askedFor(context.sandbox(own.sandbox).askedFor) : undefined;
  return asked === undefined || differences(asked.body, told).length > 0 ? 'another' : 'as-planned';
}
