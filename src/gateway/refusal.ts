import type { Content } from '../policy/judging/decide.ts';
import type { DenyReason } from '../policy/policy.ts';
import type { AskOutcome } from './asks/question.ts';
import type { FaultReason } from './fault.ts';
import type { Field } from './http/fields.ts';
import type { RefusedPush } from './git/git-report.ts';

/** Why a request was not carried out: the policy, the rules of the gateway, or an unusable upstream. */
export interface Refusal {
  readonly reason: RefusalReason;
  /** one sentence for the caller */
  readonly message: string;
  /** id of the rule that decided, where one did */
  readonly rule?: string | undefined;
  /** how a person was asked, and the id to answer by from now on */
  readonly ask?: { readonly why: AskOutcome; readonly id: string | undefined } | undefined;
  /** answered as if it had been done: whoever asks is only learned from */
  readonly isStub?: true | undefined;
  /** what the content asks for, where that decided */
  readonly content?: Content | undefined;
  /** a push that was refused, to be answered in git's own words */
  readonly push?: RefusedPush | undefined;
  /** fields of the answer beside the usual ones */
  readonly fields?: readonly Field[] | undefined;
  /** what clients of model APIs know this kind of error by; default `casemate_denied` */
  readonly errorType?: string | undefined;
  /** the known secret that was found, by its name */
  readonly secret?: string | undefined;
  /** name of the credential it is about, for the command that helps */
  readonly credential?: string | undefined;
  /** the journal has it already */
  readonly isRecorded?: true | undefined;
}

export type RefusalReason = DenyReason | FaultReason | keyof typeof gatewayReasons;

const gatewayReasons = {
  'authority-mismatch': 421,
  'target-not-allowed': 400,
  'malformed-request': 400,
  'headers-too-large': 431,
  'expectation-unknown': 417,
  'upgrade-not-allowed': 403,
  'foreign-key': 403,
  'phantom-misplaced': 403,
  'secret-outgoing': 403,
  'budget-exceeded': 429,
  'upload-too-large': 413,
  'package-withheld': 403,
  'credential-needs-tls': 403,
  'not-signable': 403,
  'content-not-readable': 415,
  'content-too-large': 413,
  'credential-unavailable': 502,
  'login-ended': 403,
  'credential-revoked': 403,
  'learned-only': 202,
  'too-many-names': 429,
  'too-busy': 503,
  'journal-unwritable': 503,
} as const;

const faultStatus: Readonly<Record<FaultReason, number>> = {
  unresolvable: 502,
  'address-refused': 403,
  unreachable: 502,
  certificate: 502,
  'proxy-refused': 502,
  slow: 504,
  'bad-answer': 502,
  'credential-changed': 503,
  'request-broken': 400,
};

export function statusOf(reason: RefusalReason): number {
  const table: Readonly<Record<string, number>> = { ...gatewayReasons, ...faultStatus };
  return table[reason] ?? 403;
}

/** Whether this is a denial, as apart from an upstream or a host that failed. */
export function isDenial(reason: RefusalReason): boolean {
  const status = statusOf(reason);
  return status < 500;
}

export function refuse(reason: RefusalReason, message: string, rule?: string): Refusal {
  return { reason, message, rule };
}
