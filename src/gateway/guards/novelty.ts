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
}

/** Names are held for as long as the sandbox lives: this many a group, more than any bound lets in for days. */
const maxKnown = 65_536;

export function createNovelty({ characters, perMinute, clock }: NoveltyOptions): Novelty {
  const groups = new Map<string, Group>();
  const groupOf = (name: string): Group => {
    const now = clock.monotonicMs();
    const group = groups.get(name) ?? { left: characters, atMs: now, known: new Set() };
    group.left = Math.min(characters, group.left + ((now - group.atMs) / 60_000) * perMinute);
    group.atMs = now;
    groups.set(name, group);
    return group;
  };
  return {
    admit(place, name) {
      const group = groupOf(place);
      if (group.known.has(name)) {
        return true;
      }
      if (group.left < name.length || group.known.size >= maxKnown) {
        return false;
      }
      group.left -= name.length;
      group.known.add(name);
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
        if (group.known.size < maxKnown) {
          group.known.add(name);
        }
      }
    },
  };
}
