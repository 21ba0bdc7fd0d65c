import type { StopSignal } from '../../base/stop.ts';
import { createHash, randomBytes } from 'node:crypto';

import type { AskingSandbox, Question, AskView, AskAnswer, Claim, AskLimits } from './question.ts';
import { mayBeGranted } from '../../policy/proposing/grant-rule.ts';
import { systemClock, type Clock } from '../../system/clock.ts';
import { createDesk, type Desk } from './ask-desk.ts';
import { requestGone } from './request-gone.ts';

/**
 * Denied requests that a person may still allow: held for a while if someone is watching, listed otherwise. This only keeps and
 * matches them. Who may answer is decided by who can call it, and that is the daemon's control socket alone.
 */
export interface Asks {
  readonly open: (sandbox: AskingSandbox) => void;
  /** Ends what waits; nothing of the sandbox is answered any more. */
  readonly close: (sandboxId: string) => void;
  /** Asks about one denied request. Never rejects. */
  readonly raise: (sandboxId: string, question: Question, signal: StopSignal) => Promise<AskAnswer>;
  readonly list: () => readonly AskView[];
  /** Takes a request out of reach of its time limit while it is answered. Throws `REQUEST_GONE`. */
  readonly claim: (id: string) => Claim;
  /** Looks again at all that waits in a sandbox whose rules have been replaced. */
  readonly recheck: (sandboxId: string, isAllowed: (question: Question) => boolean) => void;
  /** Somebody looks at what waits, until what is returned is called; `onEnd`: there will be nothing more to see. */
  readonly watch: (onChange: () => void, onEnd: () => void) => () => void;
  /** Lets all that look go. */
  readonly endWatches: () => void;
}

export const askLimits: AskLimits = { waiting: 16, held: 64, known: 64, quietMs: 600_000, keptMs: 3_600_000 };

export interface AskOptions {
  readonly clock?: Clock | undefined;
  readonly limits?: Partial<AskLimits> | undefined;
  readonly random?: ((size: number) => Buffer) | undefined;
}

export function createAsks({ clock = systemClock, limits = {}, random = randomBytes }: AskOptions = {}): Asks {
  const desks = new Map<string, Desk>();
  const watchers = new Map<() => void, () => void>();
  const onChange = (): void => watchers.forEach((_, notify) => notify());
  return {
    open(sandbox) {
      const tools = { clock, limits: { ...askLimits, ...limits }, isWatched: () => watchers.size > 0, onChange };
      const nonce = random(16);
      desks.set(
        sandbox.id,
        createDesk(sandbox, { ...tools, idOf: (question, serial) => idOf(nonce, sandbox, { question, serial }) }),
      );
    },
    close(sandboxId) {
      desks.get(sandboxId)?.close();
      desks.delete(sandboxId);
      onChange();
    },
    async raise(sandboxId, question, signal) {
      const desk = desks.get(sandboxId);
      if (desk === undefined || desk.sandbox.settings.waitMs === undefined) {
        return { kind: 'denied', why: 'off', id: undefined };
      }
      const { rules, bound } = desk.sandbox;
      if (!mayBeGranted(rules(), question, bound)) {
        return { kind: 'denied', why: 'beyond-bound', id: undefined };
      }
      return desk.raise(question, signal);
    },
    list: () => [...desks.values()].flatMap((desk) => desk.list()),
    claim(id) {
      for (const desk of desks.values()) {
        const claim = desk.claim(id);
        if (claim !== undefined) {
          return claim;
        }
      }
      throw requestGone(id);
    },
    recheck: (sandboxId, isAllowed) => desks.get(sandboxId)?.recheck(isAllowed),
    watch(notify, onEnd) {
      watchers.set(notify, onEnd);
      return () => void watchers.delete(notify);
    },
    endWatches: () => watchers.forEach((onEnd) => onEnd()),
  };
}

/** Bound to what is shown and to the rules in force: where either differs it is another id. */
function idOf(
  nonce: Buffer,
  { id, policyHash }: AskingSandbox,
  { question, serial }: { readonly question: Question; readonly serial: number },
): string {
  const content = JSON.stringify([id, policyHash(), serial, Object.entries(question).toSorted(([a], [b]) => (a < b ? -1 : 1))]);
  const digest = createHash('sha256').update(nonce).update(content).digest();
  const letters = [...digest.subarray(0, 12)].map((byte) => 'abcdefghijkmnpqrstuvwxyz23456789'.charAt(byte % 32));
  return `ask-${letters.join('')}`;
}
