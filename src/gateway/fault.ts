/** Why an upstream could not be used. It is a value and not an error: the caller is told, and the gateway continues. */
export interface Fault {
  readonly reason: FaultReason;
  /** one sentence for the caller; never a secret */
  readonly message: string;
}

export type FaultReason =
  | 'unresolvable'
  | 'address-refused'
  | 'unreachable'
  | 'certificate'
  | 'proxy-refused'
  | 'slow'
  | 'bad-answer'
  /** the value in the request is not the one of now; nothing was sent */
  | 'credential-changed'
  /** the caller's own content broke off, or cannot be read */
  | 'request-broken';

export type Attempt<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly fault: Fault };

export function faulty(reason: FaultReason, message: string): { readonly ok: false; readonly fault: Fault } {
  return { ok: false, fault: { reason, message } };
}

/** The content of the request did not come to its end, or a step on its way refused it. */
export const brokenRequest = faulty('request-broken', 'the content of the request broke off, or could not be read');

/** The request is to be made anew with the value of now. */
export function outdated(): ReturnType<typeof faulty> {
  return faulty('credential-changed', 'the credential was changed while the connection was opened');
}
