import { needleSet, type Needle, type NeedleSet } from './needle-search.ts';
import { needlesOf } from './needles.ts';

/**
 * Real values that must not leave in any request: those of all sandboxes' credentials, and those in the project's env files.
 * They are held only in this process's memory, and can be asked for by value but never listed.
 */
export interface KnownSecrets {
  /** `label` names it in the journal, such as `credential anthropic`. A value that could stand anywhere by chance is left out. */
  readonly add: (value: string, label: string) => void;
  /** The same for one sandbox's project; they replace those given before and hold for that sandbox alone. */
  readonly addFor: (sandboxId: string, values: readonly KnownValue[]) => void;
  readonly forget: (sandboxId: string) => void;
  readonly needlesFor: (sandboxId: string) => NeedleSet;
}

export interface KnownValue {
  readonly value: string;
  readonly label: string;
}

const shortest = 12;
/** Shannon entropy below which a value is taken for a word or a placeholder, in bits a character. */
const leastEntropy = 2.8;
/** How many values are remembered: those of logins are renewed for ever. */
const greatestCount = 512;

export function createKnownSecrets(): KnownSecrets {
  const shared = new Map<string, string>();
  const own = new Map<string, readonly KnownValue[]>();
  const ready = new Map<string, NeedleSet>();
  return {
    add(value, label) {
      if (!isTelling(value) || shared.has(value)) {
        return;
      }
      const [oldest] = shared.keys();
      if (shared.size >= greatestCount && oldest !== undefined) {
        shared.delete(oldest);
      }
      shared.set(value, label);
      ready.clear();
    },
    addFor(sandboxId, values) {
      const parts = values
        .slice(0, greatestCount)
        .flatMap(({ value, label }) => partsOf(value).map((part) => ({ value: part, label })));
      own.set(sandboxId, parts.filter(({ value }) => isTelling(value)).slice(0, greatestCount));
      ready.delete(sandboxId);
    },
    forget(sandboxId) {
      own.delete(sandboxId);
      ready.delete(sandboxId);
    },
    needlesFor(sandboxId) {
      const known = ready.get(sandboxId) ?? needleSet([...formsOf(shared), ...formsOf(labelled(own.get(sandboxId) ?? []))]);
      ready.set(sandboxId, known);
      return known;
    },
  };
}

/** Long values are sought in parts: what is held back of a stream, and compared, is bounded by the longest one. */
const longest = 256;

function partsOf(value: string): readonly string[] {
  return Array.from({ length: Math.ceil(value.length / longest) }, (_, index) =>
    value.slice(index * longest, (index + 1) * longest),
  )
    .filter(isTelling)
    .slice(0, 16);
}

function labelled(values: readonly KnownValue[]): ReadonlyMap<string, string> {
  return new Map(values.map(({ value, label }) => [value, label]));
}

function formsOf(values: ReadonlyMap<string, string>): readonly Needle[] {
  return [...values].flatMap(([value, label]) => needlesOf(value).sought.map((bytes) => ({ bytes, label })));
}

/** Whether a value is long and mixed enough that it stands nowhere by chance. */
export function isTelling(value: string): boolean {
  return value.length >= shortest && entropyOf(value) >= leastEntropy;
}

function entropyOf(text: string): number {
  const counts = new Map<string, number>();
  for (const letter of text) {
    counts.set(letter, (counts.get(letter) ?? 0) + 1);
  }
  return [...counts.values()].reduce((sum, count) => sum - (count / text.length) * Math.log2(count / text.length), 0);
}
