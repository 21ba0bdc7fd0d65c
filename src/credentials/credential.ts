/** Credentials as the gateway uses them. Values exist in the gateway's process alone. */

/** A secret text that cannot be printed by accident: `toString`, `toJSON` and `inspect` give `[secret]`. */
export interface Secret {
  readonly reveal: () => string;
}

/** Where on the wire a credential goes, and what the sandbox holds instead. */
export interface BoundCredential {
  readonly name: string;
  readonly provider: string;
  /** the phantom the sandbox holds: format-valid, unique per sandbox and credential */
  readonly phantom: string;
  /** Request headers, lower case, that carry a caller's identity at this provider: all are removed before injection. */
  readonly identityHeaders: readonly string[];
  /** The header to set and how: `{}` in `format` stands for the value. */
  readonly inject: { readonly header: string; readonly format: string };
  /** The present real value; throws `CREDENTIAL_UNAVAILABLE`. Called for each exchange, so that rotation is live. */
  readonly value: () => Secret;
}
