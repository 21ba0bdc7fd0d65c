/**
 * Remembers what this process does to its containers, so that it can be told from what others do: the engine's events name the
 * container and the action, but never who asked. An action is noted before the engine is asked for it.
 */
export interface OwnEffects {
  /** Which sandbox a container of ours is for; `undefined` for one that nobody here made or found. */
  readonly sandboxOf: (container: string) => OwnPart | undefined;
  readonly know: (container: string, part: OwnPart) => void;
  /** Its next start is ours. */
  readonly willStart: (container: string) => void;
  /** Whether a start was ours; each is asked for once. */
  readonly wasStartedHere: (container: string) => boolean;
  /** From now on its end is ours, with all that belongs to it. */
  readonly willEnd: (container: string) => void;
  readonly endsHere: (container: string) => boolean;
  /** Carries out the making of a container or a command and keeps the id that comes of it. */
  readonly make: (ask: () => Promise<string>) => Promise<string>;
  /** Whether an id came of something made here. Waits for what is being made now: its id may not be known yet. */
  readonly wasMadeHere: (id: string) => Promise<boolean>;
  /** A command is asked for in a container: of its events one is ours. */
  readonly willRun: (container: string) => void;
  /**
   * Whether a command may be ours whose event does not say which it is: each of ours accounts for one, and not for long, since
   * one that never came to run must not account for another's.
   */
  readonly wasCommandHere: (container: string) => boolean;
  /** A container that is gone is not remembered. */
  readonly forget: (container: string) => void;
}

export interface OwnPart {
  readonly sandbox: string;
  readonly part: string;
}

/** Of each kind; whoever asks about one asks soon after. */
const greatestKept = 4096;

/** Of a command, from being asked for until its event is here; on a busy machine. */
const commandMs = 60_000;

/** `nowMs`: never goes back */
export function ownEffects(nowMs: () => number = () => performance.now()): OwnEffects {
  const known = new Map<string, OwnPart>();
  const starts = new Set<string>();
  const ends = new Set<string>();
  const made = new Set<string>();
  const making = new Set<Promise<unknown>>();
  const commands = new Map<string, readonly number[]>();
  const commandsOf = (container: string): readonly number[] =>
    (commands.get(container) ?? []).filter((since) => nowMs() - since < commandMs);
  return {
    sandboxOf: (container) => known.get(container),
    know: (container, part) => void known.set(container, part),
    willStart: (container) => void starts.add(container),
    wasStartedHere: (container) => starts.delete(container),
    willEnd: (container) => add(ends, container),
    endsHere: (container) => ends.has(container),
    async make(ask) {
      const asked = keep(made, ask());
      making.add(asked);
      try {
        return await asked;
      } finally {
        making.delete(asked);
      }
    },
    async wasMadeHere(id) {
      await Promise.allSettled(making);
      return made.has(id);
    },
    willRun: (container) => void commands.set(container, [...commandsOf(container), nowMs()]),
    wasCommandHere(container) {
      const [oldest, ...others] = commandsOf(container);
      commands.set(container, others);
      return oldest !== undefined;
    },
    forget(container) {
      commands.delete(container);
      known.delete(container);
      starts.delete(container);
      ends.delete(container);
      made.delete(container);
    },
  };
}

async function keep(made: Set<string>, asked: Promise<string>): Promise<string> {
  const id = await asked;
  add(made, id);
  return id;
}

function add(ids: Set<string>, id: string): void {
  ids.add(id);
  const oldest = ids.size > greatestKept ? ids.values().next().value : undefined;
  if (oldest !== undefined) {
    ids.delete(oldest);
  }
}
