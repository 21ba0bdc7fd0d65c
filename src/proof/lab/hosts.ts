/**
 * Hosts of the lab, below a name that is reserved for tests (RFC 2606). Each has a rule of its kind in the lab's policy;
 * `denied` has none.
 */
export const hosts = {
  /** port 443 passed through, port 80 in clear, everything allowed */
  allowed: 'allowed.proof.test',
  /** TLS is opened: POST /v1/messages and GET /v1/echo only, with the lab's credential in `x-api-key` */
  opened: 'opened.proof.test',
  /** every name below it, passed through */
  wild: 'wild.proof.test',
  /** allowed, but its address is what the lab's resolver says at that moment; no override */
  rebind: 'rebind.proof.test',
  /** raw TCP on port 5432 */
  raw: 'raw.proof.test',
  denied: 'denied.proof.test',
} as const;

export const rawPort = 5432;
