import type { DenyReason } from '../policy.ts';

/** Why something was denied, for the person who may allow it. */
export const denyWords: Readonly<Record<DenyReason, string>> = {
  'host-not-allowed': 'no rule names this host',
  'port-not-allowed': 'a rule names this host, but not this port',
  'function-not-allowed': 'a rule names this host and port, but not this method and path',
  'content-not-allowed': 'a rule allows this method and path for other contents only',
};
