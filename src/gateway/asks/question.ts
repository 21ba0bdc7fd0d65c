import type { Asks as AskSettings, DenyReason, NetworkRule } from '../../policy/policy.ts';
import type { DeniedRequest } from '../../policy/proposing/grant-rule.ts';

/** What a person is asked, and what they can answer. */

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
