import type { StopSignal } from '../../base/stop.ts';
import { decisiveRules } from '../../policy/judging/decide.ts';
import type { Clock } from '../../system/clock.ts';
import { createRefused, type Refused } from './ask-refused.ts';
import type { AskAnswer, AskLimits, AskOutcome, AskView, AskingSandbox, Claim, Question } from './question.ts';

/** The open questions of one sandbox: equal ones are merged, all of it is bounded, and ids change when the rules do. */
export interface Desk {
  readonly sandbox: AskingSandbox;
  readonly raise: (question: Question, signal: StopSignal) => Promise<AskAnswer>;
  readonly list: () => readonly AskView[];
  /** `undefined`: no question has this id now */
  readonly claim: (id: string) => Claim | undefined;
  readonly recheck: (isAllowed: (question: Question) => boolean) => void;
  readonly close: () => void;
}

export interface DeskTools {
  readonly clock: Clock;
  readonly limits: AskLimits;
  readonly isWatched: () => boolean;
  readonly onChange: () => void;
  /** `serial` makes it another one each time the same is asked */
  readonly idOf: (question: Question, serial: number) => string;
}

interface Entry {
  readonly question: Question;
  serial: number;
  id: string;
  readonly sinceMs: number;
  /** wall clock; set while exchanges may be held */
  untilMs: number | undefined;
  timer: NodeJS.Timeout | undefined;
  /** monotonic: until then it is denied without being asked */
  quietUntilMs: number;
  readonly waiters: Set<(answer: AskAnswer) => void>;
  count: number;
  isClaimed: boolean;
  isGone: boolean;
}

interface State {
  readonly sandbox: AskingSandbox;
  readonly tools: DeskTools;
  readonly entries: Map<string, Entry>;
  readonly refused: Refused;
}

export function createDesk(sandbox: AskingSandbox, tools: DeskTools): Desk {
  const entries = new Map<string, Entry>();
  const state: State = { sandbox, tools, entries, refused: createRefused(tools, sandbox.refused ?? []) };
  return {
    sandbox,
    raise: (question, signal) => raise(state, question, signal),
    list() {
      dropOld(state);
      return [...entries.values()].map((entry) => viewOf(state, entry));
    },
    claim(id) {
      dropOld(state);
      const entry = [...entries.values()].find((one) => one.id === id && !one.isClaimed);
      return entry === undefined || tools.idOf(entry.question, entry.serial) !== id ? undefined : claimOf(state, entry);
    },
    recheck: (isAllowed) => recheck(state, isAllowed),
    close() {
      for (const entry of entries.values()) {
        remove(state, entry);
        end(state, entry, 'ended');
      }
    },
  };
}

async function raise(state: State, question: Question, signal: StopSignal): Promise<AskAnswer> {
  if (state.refused.has(question)) {
    return { kind: 'denied', why: 'denied-by-person', id: undefined };
  }
  const entry = state.entries.get(keyOf(question)) ?? createEntry(state, question);
  if (entry === undefined) {
    return { kind: 'denied', why: 'too-many', id: undefined };
  }
  entry.count += 1;
  const why = signal.aborted ? 'ended' : whyNotHeld(state, entry);
  if (why !== undefined) {
    state.tools.onChange();
    return { kind: 'denied', why, id: entry.id };
  }
  return await hold(state, entry, signal);
}

/** Why an exchange is denied at once instead of being held. */
function whyNotHeld({ sandbox, tools, entries }: State, entry: Entry): AskOutcome | undefined {
  const { limits, clock, isWatched } = tools;
  if (entry.timer === undefined && !entry.isClaimed && clock.monotonicMs() < entry.quietUntilMs) {
    return 'asked-before';
  }
  if (sandbox.settings.when === 'watched' && !isWatched()) {
    return 'nobody-looks';
  }
  // Counted by their time and not by who still waits: leaving at once makes no room for the next question.
  const all = [...entries.values()];
  const waiting = all.filter((one) => one.timer !== undefined && one !== entry).length;
  const held = all.reduce((sum, one) => sum + one.waiters.size, 0);
  return waiting >= limits.waiting || held >= limits.held ? 'too-many' : undefined;
}

function hold(state: State, entry: Entry, signal: StopSignal): Promise<AskAnswer> {
  const { promise, resolve } = Promise.withResolvers<AskAnswer>();
  const leave = (): void => {
    entry.waiters.delete(answer);
    resolve({ kind: 'denied', why: 'ended', id: entry.id });
  };
  const answer = (given: AskAnswer): void => {
    signal.removeEventListener('abort', leave);
    resolve(given);
  };
  entry.waiters.add(answer);
  signal.addEventListener('abort', leave, { once: true });
  if (entry.timer === undefined && !entry.isClaimed) {
    const waitMs = state.sandbox.settings.waitMs ?? 0;
    entry.untilMs = state.tools.clock.nowMs() + waitMs;
    entry.timer = setTimeout(() => expire(state, entry), waitMs);
    state.sandbox.note('waiting', viewOf(state, entry));
  }
  state.tools.onChange();
  return promise;
}

function expire(state: State, entry: Entry): void {
  entry.timer = undefined;
  if (!entry.isClaimed) {
    state.sandbox.note('no-answer', viewOf(state, entry));
    entry.quietUntilMs = state.tools.clock.monotonicMs() + state.tools.limits.quietMs;
    end(state, entry, 'no-answer');
  }
}

function end({ tools }: State, entry: Entry, why: AskOutcome): void {
  clearTimeout(entry.timer);
  entry.timer = undefined;
  entry.untilMs = undefined;
  const waiters = [...entry.waiters];
  entry.waiters.clear();
  waiters.forEach((resolve) => resolve({ kind: 'denied', why, id: entry.isGone ? undefined : entry.id }));
  tools.onChange();
}

function remove({ entries }: State, entry: Entry): void {
  entry.isGone = true;
  entries.delete(keyOf(entry.question));
}

function recheck(state: State, isAllowed: (question: Question) => boolean): void {
  for (const entry of state.entries.values()) {
    entry.id = state.tools.idOf(entry.question, entry.serial);
    if (isAllowed(entry.question)) {
      remove(state, entry);
      clearTimeout(entry.timer);
      entry.waiters.forEach((resolve) => resolve({ kind: 'changed' }));
      entry.waiters.clear();
    }
  }
  state.tools.onChange();
}

/** Never the same twice in a process, so that no answer counts a second time. */
let serials = 0;
function nextSerial(): number {
  serials += 1;
  return serials;
}

function createEntry(state: State, question: Question): Entry | undefined {
  if (!makeRoom(state)) {
    return undefined;
  }
  const serial = nextSerial();
  const entry: Entry = {
    question,
    serial,
    id: state.tools.idOf(question, serial),
    sinceMs: state.tools.clock.nowMs(),
    untilMs: undefined,
    timer: undefined,
    quietUntilMs: Number.NEGATIVE_INFINITY,
    waiters: new Set(),
    count: 0,
    isClaimed: false,
    isGone: false,
  };
  state.entries.set(keyOf(question), entry);
  return entry;
}

/** The oldest that nobody waits for goes; false: all of them wait. */
function makeRoom(state: State): boolean {
  dropOld(state);
  if (state.entries.size < state.tools.limits.known) {
    return true;
  }
  const idle = [...state.entries.values()].find((entry) => entry.timer === undefined && !entry.isClaimed);
  if (idle !== undefined) {
    remove(state, idle);
  }
  return idle !== undefined;
}

function dropOld(state: State): void {
  const oldest = state.tools.clock.nowMs() - state.tools.limits.keptMs;
  for (const entry of state.entries.values()) {
    if (entry.sinceMs < oldest && entry.timer === undefined && !entry.isClaimed) {
      remove(state, entry);
    }
  }
}

function claimOf(state: State, entry: Entry): Claim {
  const shown = viewOf(state, entry);
  entry.isClaimed = true;
  const release = (): void => {
    entry.isClaimed = false;
    // Its time may have run out while it was being answered.
    if (entry.waiters.size > 0 && entry.timer === undefined) {
      expire(state, entry);
    }
  };
  return {
    view: shown,
    release,
    allowOnce() {
      const [first] = entry.waiters;
      if (first !== undefined) {
        entry.waiters.delete(first);
        first({ kind: 'once', id: shown.id });
        askAnew(state, entry);
      }
      release();
      state.tools.onChange();
      return first !== undefined;
    },
    deny(scope) {
      state.refused.add(entry.question, scope);
      remove(state, entry);
      entry.isClaimed = false;
      end(state, entry, 'denied-by-person');
    },
  };
}

/** The answer was about one exchange. Others that ask the same are asked about anew, in what is left of their time. */
function askAnew(state: State, entry: Entry): void {
  if (entry.waiters.size === 0) {
    clearTimeout(entry.timer);
    entry.timer = undefined;
    remove(state, entry);
    return;
  }
  entry.serial = nextSerial();
  entry.id = state.tools.idOf(entry.question, entry.serial);
}

/** The same question: nothing that is shown differs. */
function keyOf(question: Question): string {
  return JSON.stringify(Object.entries(question).toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

function viewOf({ sandbox }: State, entry: Entry): AskView {
  const { question, id, sinceMs, untilMs, waiters, count } = entry;
  const rules = decisiveRules(sandbox.rules(), question.host, question.port);
  return {
    ...question,
    id,
    sandbox: sandbox.id,
    name: sandbox.name,
    policyHash: sandbox.policyHash(),
    credential: rules.find((rule) => rule.credential !== undefined)?.credential,
    state: untilMs === undefined ? 'denied' : 'waiting',
    sinceMs,
    untilMs,
    held: waiters.size,
    count,
  };
}
