/** What a rule judges of a request. */
export interface RequestLine {
  /** as on the wire; methods are case-sensitive (RFC 9110 section 9.1) */
  readonly method: string;
  /** request target in origin form, query included or not */
  readonly path: string;
}
