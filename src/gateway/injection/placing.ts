import type { BoundCredential, Injection, Material } from '../../credentials/credential.ts';
import type { BodyStep } from '../bodies/body-steps.ts';
import type { Content } from '../exchange/read-content.ts';
import type { Field } from '../http/fields.ts';
import type { Refusal } from '../refusal.ts';

/** A request that a credential may be put into, and what is sent out as a result. */
export interface InjectInput {
  readonly method: string;
  readonly host: string;
  /** as the upstream will read it, with the port where it is unusual */
  readonly authority: string;
  readonly fields: readonly Field[];
  readonly target: string;
  /** the credential of the rule that allowed the request */
  readonly credential: BoundCredential | undefined;
  /** phantoms of the whole sandbox */
  readonly phantoms: readonly string[];
  /** `undefined`: the request has none */
  readonly content: Content | undefined;
  readonly nowMs: number;
}

/** A request as it goes on, the credential included. */
export interface Outgoing {
  readonly target: string;
  readonly fields: readonly Field[];
  /** the real value; its keyed hash goes on record */
  readonly secret: string | undefined;
  /** the value as its owner gave it */
  readonly material?: Material | undefined;
  /** everything that answers are searched for; absent: `secret` alone */
  readonly scrub?: readonly string[] | undefined;
  /** the whole content, where it had to be read first; `step` is yet to be applied */
  readonly content?: Buffer | undefined;
  /** phantoms were made unreadable in `content` */
  readonly isMasked?: boolean | undefined;
  /** changes the content on its way, where the credential stands in it */
  readonly step?: BodyStep | undefined;
}

export type InjectResult = { readonly ok: true; readonly outgoing: Outgoing } | { readonly ok: false; readonly refusal: Refusal };

/** One request with all that was settled about it. */
export interface Placing {
  readonly input: InjectInput;
  readonly credential: BoundCredential;
  readonly injection: Injection;
  /** what goes on of the header, identities left out */
  readonly kept: readonly Field[];
}
