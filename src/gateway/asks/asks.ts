import { createHash, randomBytes } from 'node:crypto';

import { CasemateError } from '../../base/errors.ts';
import { mayBeGranted, type DeniedRequest } from '../../policy/proposing/grant-rule.ts';
import type { Asks as AskSettings, DenyReason, NetworkRule } from '../../policy/policy.ts';
import { systemClock, type Clock } from '../../system/clock.ts';
import { createDesk, type Desk } from './ask-desk.ts';

/**
 * What was denied and may still be allowed by a person: held for a while where somebody looks, listed otherwise. It only
 * keeps and matches; who may answer is settled by whoever can call it, and that is the daemon's control socket alone.
 */
export interface Asks {
  readonly open: (sandbox: AskingSandbox) => void;
  /** Ends what waits; nothing of the sandbox is answered any more. */
  readonly close: (sandboxId: string) => void;
  /** Asks about one denied request. Never rejects. */
  readonly raise: (sandboxId: string, question: Question, signal: AbortSignal) => Promise<AskAnswer>;
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

export interface AskingSandbox {
  readonly id: string;
  readonly name: string;
  readonly settings: AskSettings;
  readonly bound: readonly NetworkRule[] | undefined;
  readonly rules: () => readonly NetworkRule[];
  readonly policyHash: () => string;
  /** states in the journal that a request waits, and that its time ended without an answer */
  readonly note: (outcome: 'waiting' | 'no-answer', view: AskView) => void;
  /** denied for the sandbox's life by an earlier answer */
  readonly refused?: readonly string[] | undefined;
}

/** One denied request in full: what a person is shown, and what the id is bound to. */
export interface Question extends DeniedRequest {
  readonly scheme: 'http' | 'https' | 'tcp';
  /** request target with its query, phantoms masked; of no use in a rule */
  readonly target: string | undefined;
  readonly reason: DenyReason;
  /** of the content, as the request says; `undefined`: none, or no length given */
  readonly contentBytes: number | undefined;
  readonly contentType: string | undefined;
  /** `user-agent`, the only word about who asks */
  readonly program: string | undefined;
}

export interface AskView extends Question {
  readonly id: string;
  readonly sandbox: string;
  readonly name: string;
  readonly policyHash: string;
  readonly credential: string | undefined;
  /** `waiting`: exchanges are held; `denied`: they were answered, and the same may be allowed for the next time */
  readonly state: 'waiting' | 'denied';
  readonly sinceMs: number;
  /** when it stops to wait */
  readonly untilMs: number | undefined;
  /** exchanges that are held */
  readonly held: number;
  /** how often it was asked */
  readonly count: number;
}

export type AskAnswer =
  /** this exchange may go, under this name */
  | { readonly kind: 'once'; readonly id: string }
  /** the rules have changed so that it is allowed: judge again */
  | { readonly kind: 'changed' }
  | { readonly kind: 'denied'; readonly why: AskOutcome; readonly id: string | undefined };

export type AskOutcome =
  | 'off'
  | 'beyond-bound'
  | 'denied-by-person'
  | 'no-answer'
  | 'nobody-looks'
  | 'asked-before'
  | 'too-many'
  | 'ended';

export interface Claim {
  readonly view: AskView;
  /** Lets one held exchange go; false: its caller has gone. */
  readonly allowOnce: () => boolean;
  /** Denies what is held, and the same for a while (or for the sandbox's life) without asking. */
  readonly deny: (scope: 'while' | 'sandbox') => void;
  /** Gives it back as it was. */
  readonly release: () => void;
}

/** Bounds of one sandbox's questions. Reaching one means the ordinary denial at once. */
export interface AskLimits {
  /** different requests that wait at the same time */
  readonly waiting: number;
  /** exchanges held at the same time, over all of them */
  readonly held: number;
  /** requests that are remembered for an answer; the oldest that nobody waits for makes room */
  readonly known: number;
  /** how long an unanswered or denied request is not asked again */
  readonly quietMs: number;
  /** how long it can be answered */
  readonly keptMs: number;
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
      throw new CasemateError('REQUEST_GONE', 'no request of this id can be answered', {
        hint: `It was answered, it is too old, its sandbox has ended, or its rules changed, which gives it another id. For later ones: casemate policy propose --request ${id}`,
      });
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
