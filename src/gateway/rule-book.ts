import type { NetworkRule } from '../policy/policy.ts';

/**
 * The current rules of one sandbox, and everything that is open under them. A change of rules reaches both at once, so that
 * removing a rule ends the tunnels it allowed (GWP-30).
 */
export interface RuleBook {
  readonly now: () => readonly NetworkRule[];
  readonly policyHash: () => string;
  /** Notes something open; what is returned is called when it has ended. */
  readonly hold: (held: Held) => () => void;
  /** Puts new rules in force, then cuts what they do not allow. Returns how many were cut. */
  readonly replace: (rules: Ruling) => number;
  /** Cuts what fits, e.g. all that goes on under one credential. Returns how many were cut. */
  readonly cutWhere: (fits: (held: Held) => boolean, why: string) => number;
}

export interface Ruling {
  readonly rules: readonly NetworkRule[];
  /** of the policy the rules come from; lines of the journal name it */
  readonly policyHash: string;
}

/** A tunnel, or an exchange under way. */
export interface Held {
  /** name of the credential that it uses */
  readonly credential?: string | undefined;
  /** whether the rules of now would still allow it, in the same way */
  readonly isAllowed: () => boolean;
  /** Ends it at once; `why` is the outcome on record. */
  readonly cut: (why: string) => void;
}

export function createRuleBook(first: Ruling): RuleBook {
  let ruling = first;
  const open = new Set<Held>();
  const cutWhere = (fits: (held: Held) => boolean, why: string): number => {
    const chosen = [...open].filter(fits);
    for (const held of chosen) {
      open.delete(held);
      held.cut(why);
    }
    return chosen.length;
  };
  return {
    now: () => ruling.rules,
    policyHash: () => ruling.policyHash,
    hold(held) {
      open.add(held);
      return () => void open.delete(held);
    },
    replace(next) {
      ruling = next;
      return cutWhere((held) => !isStillAllowed(held), 'rule-removed');
    },
    cutWhere,
  };
}

/** A fault in judging denies. */
function isStillAllowed(held: Held): boolean {
  try {
    return held.isAllowed();
  } catch {
    return false;
  }
}
