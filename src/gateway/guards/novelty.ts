import { ownText } from '../../base/own-text.ts';
import type { Clock } from '../../system/clock.ts';

/**
 * Limits what can be sent out through names alone: each new name below a wildcard, and each path that a registry does not know,
 * is a message (GWP-31, SEC-15). A name costs its characters once; after that it is known and free.
 */
export interface Novelty {
  /** Whether `name` is known in `group`, or there is room for it still. */
  readonly admit: (group: string, name: string) => boolean;
  /** Whether `name` is known in `group`, or some room is left. Nothing is counted. */
  readonly isOpen: (group: string, name: string) => boolean;
  /** Makes `name` known, at the cost of its characters, or at none. */
  readonly learn: (group: string, name: string, cost: 'paid' | 'free') => void;
}

export interface NoveltyOptions {
  /** characters of all names of a group together, at the start */
  readonly characters: number;
  /** what is added every minute, up to the same bound */
  readonly perMinute: number;
  readonly clock: Clock;
}

interface Group {
  left: number;
  atMs: number;
  readonly known: Set<string>;
  knownCharacters: number;
}

/** Names are held for as long as the sandbox lives: this many a group, more than any bound lets in for days. */
const maxKnown = 65_536;
/** Those that cost nothing may be long. */
const maxKnownCharacters = 8 * 1024 * 1024;

export function createNovelty({ characters, perMinute, clock }: NoveltyOptions): Novelty {
  const groups = new Map<string, Group>();
  const groupOf = (name: string): Group => {
    const now = clock.monotonicMs();
    const group = groups.get(name) ?? { left: characters, atMs: now, known: new Set(), knownCharacters: 0 };
    group.left = Math.min(characters, group.left + ((now - group.atMs) / 60_000) * perMinute);
    group.atMs = now;
    groups.set(name, group);
    return group;
  };
  /** False: so much is known that nothing can be added. */
  const keep = (group: Group, name: string): boolean => {
    const hasRoom = group.known.size < maxKnown && group.knownCharacters + name.length <= maxKnownCharacters;
    if (hasRoom) {
      group.known.add(ownText(name));
      group.knownCharacters += name.length;
    }
    return hasRoom;
  };
  return {
    admit(place, name) {
      const group = groupOf(place);
      if (group.known.has(name)) {
        return true;
      }
      if (group.left < name.length || !keep(group, name)) {
        return false;
      }
      group.left -= name.length;
      return true;
    },
    isOpen(place, name) {
      const group = groupOf(place);
      return group.known.has(name) || group.left > 0;
    },
    learn(place, name, cost) {
      const group = groupOf(place);
      if (!group.known.has(name)) {
        group.left -= cost === 'paid' ? name.length : 0;
        keep(group, name);
      }
    },
  };
}
