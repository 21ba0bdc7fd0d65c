/** Credentials as the gateway uses them. Their values exist only in the gateway's process. */

/** A secret text that cannot be printed by accident: `toString`, `toJSON` and `inspect` give `[secret]`. */
export interface Secret {
  readonly reveal: () => string;
}

/** Where on the wire a credential goes. `{}` in `format` stands for the value. */
export type Injection =
  | {
      readonly kind: 'header';
      readonly header: string;
      readonly format: string;
      /** the value is written in base64 */
      readonly isBase64?: boolean | undefined;
    }
  /** `Authorization: Basic` of this user and the value as the password (RFC 7617) */
  | { readonly kind: 'basic'; readonly user: string }
  /** one parameter of the query */
  | { readonly kind: 'query'; readonly parameter: string }
  /** one member at the top of a JSON object, or one field of a form */
  | { readonly kind: 'body'; readonly field: string }
  /** the request is signed anew (AWS Signature Version 4) */
  | { readonly kind: 'sigv4' };

/** A real value as it is at this moment. */
export type Material =
  | { readonly kind: 'text'; readonly secret: Secret }
  | {
      readonly kind: 'aws';
      readonly accessKeyId: string;
      readonly secretAccessKey: Secret;
      readonly sessionToken: Secret | undefined;
    };

/** Where on the wire a credential goes, and what the sandbox holds instead. */
export interface BoundCredential {
  readonly name: string;
  readonly provider: string;
  /** the phantom the sandbox holds: format-valid, unique per sandbox and credential */
  readonly phantom: string;
  /** Every stand-in of this credential that the sandbox holds or has held, the present `phantom` among them. */
  readonly phantoms: () => readonly string[];
  /** Whether it is a stand-in of another time, which `phantoms` no longer or not yet names; absent: there is no such. */
  readonly isStandIn?: ((text: string) => boolean) | undefined;
  /** Request headers, lower case, that carry a caller's identity at this provider: all are removed before injection. */
  readonly identityHeaders: readonly string[];
  /** names of the query under which this provider takes a key; absent: all that are usual anywhere */
  readonly keyParameters?: readonly string[] | undefined;
  readonly inject: Injection;
  /** where it goes at this host; absent: to `inject` at every host */
  readonly injectAt?: ((host: string) => Injection) | undefined;
  /**
   * The present real value; throws `CREDENTIAL_UNAVAILABLE`. Asked for each exchange, so that rotation is live; may wait
   * for a value that is being renewed.
   */
  readonly obtain: () => Promise<Material>;
  /** Goes up whenever what `obtain` gave before must not be used any more; absent: never. */
  readonly epoch?: (() => number) | undefined;
  /** Told when the upstream answered 401 to this value. */
  readonly onRejected?: ((material: Material) => void) | undefined;
  /** Requests that never leave the host: the credential answers them itself, such as the renewal of a login. */
  readonly local?: LocalResponder | undefined;
}

export interface LocalRequest {
  readonly host: string;
  readonly method: string;
  /** without the query */
  readonly path: string;
}

export interface LocalAnswer {
  readonly status: number;
  readonly fields: readonly (readonly [name: string, value: string])[];
  readonly body: Buffer;
}

export interface LocalResponder {
  readonly answers: (request: LocalRequest) => boolean;
  /** `body`: the whole content of the request, at most 64 KiB */
  readonly answer: (request: LocalRequest & { readonly body: Buffer }) => Promise<LocalAnswer>;
}
