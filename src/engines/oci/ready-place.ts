import { newSandboxId } from '../../base/ids.ts';
import type { SandboxSpec } from '../engine.ts';
import type { Ready } from './ready-container.ts';

/** Which containers are waiting, and which should be, by the kinds requested last. Makes none. */

export interface ReadyPlace {
  /** How many may wait; where it says less than before, what is more ends. */
  count: number;
  readonly waiting: Set<Waiting>;
  /** what was asked for last, newest last */
  wanted: readonly Wanted[];
  usedMs: number;
  filling: Promise<void> | undefined;
  /** asked to look again while it was at work */
  isStale: boolean;
  isClosed: boolean;
  soon: NodeJS.Timeout | undefined;
  looks: NodeJS.Timeout | undefined;
}

export interface Wanted {
  /** known at once, so that nobody waits for one that is made for others */
  readonly likeness: string;
  readonly like: SandboxSpec;
}

export interface Waiting {
  readonly likeness: string;
  /** `undefined`: it could not be made */
  readonly ready: Promise<Ready | undefined>;
  isMade: boolean;
}

export interface ReadyTimes {
  /** from the start of a sandbox until another container is made in place of its own: the caller comes first */
  readonly refillMs: number;
  /** how often those that wait are looked at */
  readonly lookMs: number;
  /** after this long without a sandbox none waits any more */
  readonly idleMs: number;
}

export const readyTimes: ReadyTimes = { refillMs: 300, lookMs: 10_000, idleMs: 5 * 60_000 };

export function readyPlace(): ReadyPlace {
  const timers = { soon: undefined, looks: undefined };
  return { count: 1, waiting: new Set(), wanted: [], usedMs: 0, filling: undefined, isStale: false, isClosed: false, ...timers };
}

function likenessOf({ owner, runtime, rootfs, limits, workspace, ports }: SandboxSpec): string {
  // gVisor is told at once whether the workspace will be written.
  return JSON.stringify([owner, runtime, rootfs, limits, ports, runtime === 'runsc' && workspace.mode]);
}

/** Whoever asks for one kind is likely to ask for it again. */
export function noteWish(place: ReadyPlace, like: SandboxSpec): void {
  place.usedMs = performance.now();
  place.wanted = [...place.wanted, { likeness: likenessOf(like), like: bareSpec(like) }].slice(-greatestReady);
}

/** more never wait, whatever is asked for */
const greatestReady = 16;

/** As many as may wait, by the last that were asked for; where these are fewer, for the last one. */
export function wantedNow({ count, wanted }: ReadyPlace): readonly Wanted[] {
  const last = wanted.at(-1);
  return last === undefined || count === 0
    ? []
    : [...Array.from({ length: Math.max(0, count - wanted.length) }, () => last), ...wanted.slice(-count)];
}

/** What is to be made and what is to end. */
export function difference(place: ReadyPlace): { readonly missing: readonly Wanted[]; readonly surplus: readonly Waiting[] } {
  const surplus = [...place.waiting];
  const missing = wantedNow(place).filter(({ likeness }) => {
    const found = surplus.findIndex((waiting) => waiting.likeness === likeness);
    return found < 0 || surplus.splice(found, 1).length === 0;
  });
  return { missing, surplus };
}

/** It waits no more. One that is there, rather than one that is on its way. */
export function takeWaiting({ waiting }: ReadyPlace, spec: SandboxSpec): Waiting | undefined {
  const likeness = likenessOf(spec);
  const mine = [...waiting].filter((one) => one.likeness === likeness);
  const next = mine.find(({ isMade }) => isMade) ?? mine[0];
  if (next !== undefined) {
    waiting.delete(next);
  }
  return next;
}

/** Until its sandbox gives it a name. */
export const readyHostname = 'ready';

/** What is of one sandbox alone is left out. */
export function bareSpec(like: SandboxSpec): SandboxSpec {
  const workspace = { path: '/', mode: like.workspace.mode, protect: [] };
  const files = like.files.map(({ target }) => ({ source: '', target }));
  return { ...like, id: newSandboxId(), hostname: readyHostname, workspace, home: '', files, env: {} };
}
