import type { RefusalReason } from '../refusal.ts';

/**
 * Every answer that the gateway gives in place of an upstream, with its meaning and what to do. `docs/denials.md` is generated
 * from it.
 */
export interface DenialRow {
  readonly about: string;
  /** for whoever reads the answer inside; `undefined`: made from the request */
  readonly next: string | undefined;
}

const journal = 'Do not retry. Whoever runs the sandbox finds the details on the host with: casemate journal query';
const later = 'It may work later; the policy allows it.';
const ownKey = 'Use the key that is in the sandbox, only where it belongs; the gateway puts the real one in its place.';
const asItIs = 'Do not retry in this form: a request that can be read in two ways is never carried out.';

export const denials: Readonly<Record<RefusalReason, DenialRow>> = {
  'host-not-allowed': { about: 'no rule names this host', next: undefined },
  'port-not-allowed': { about: 'a rule names this host, but not this port', next: undefined },
  'function-not-allowed': { about: 'a rule names this host and port, but not this method and path', next: undefined },
  'content-not-allowed': {
    about: 'method and path are allowed for other contents: other references of a push, other tools of an MCP server',
    next: undefined,
  },
  'authority-mismatch': { about: 'the request names another host than its connection', next: asItIs },
  'target-not-allowed': { about: 'the request is for a proxy, or one of the methods CONNECT and TRACE', next: asItIs },
  'malformed-request': { about: 'the request is not well formed, or did not come to its end', next: asItIs },
  'headers-too-large': {
    about: 'the fields of the request are too large',
    next: 'Send fewer and shorter header fields: 64 KiB of them are read.',
  },
  'expectation-unknown': { about: 'the request expects something other than 100-continue', next: asItIs },
  'upgrade-not-allowed': { about: 'a connection may be switched to WebSocket, and to nothing else', next: asItIs },
  'foreign-key': { about: "the request holds a key that is not this sandbox's own", next: ownKey },
  'phantom-misplaced': { about: 'a key of this sandbox stands where it does not belong; an alarm was raised', next: ownKey },
  'secret-outgoing': {
    about: 'a known secret of the host was about to leave; an alarm was raised',
    next: 'Do not retry, and do not send it in another form: whoever runs the sandbox has been told.',
  },
  'budget-exceeded': {
    about: 'a budget of the policy is used up',
    next: 'Do not retry. Whoever runs the sandbox can see what was used with: casemate usage',
  },
  'upload-too-large': {
    about: 'more was sent than "uploads" of the policy allows',
    next: 'Do not retry. Send less, or ask whoever runs the sandbox to raise "uploads" in the policy.',
  },
  'package-withheld': {
    about: 'this version of a package is too young, or on a list',
    next: 'Use an older version, or ask whoever runs the sandbox to allow this one under "packages" in the policy.',
  },
  'credential-needs-tls': { about: 'a credential is bound here, and is sent over TLS only', next: 'Use https.' },
  'not-signable': { about: 'the request cannot be signed anew with the real key', next: journal },
  'content-not-readable': {
    about: 'the rules judge the content, and it is in no form that every reader would read alike',
    next: 'Do not retry in this form: what cannot be read for certain is never carried out.',
  },
  'content-too-large': {
    about: 'the content has to be read as a whole first, and is too large for that',
    next: 'Send less at a time.',
  },
  'credential-unavailable': { about: 'the credential could not be read on the host', next: journal },
  'login-ended': {
    about: 'the login on the host has ended',
    next: 'Do not retry. Whoever runs the sandbox can log in again on the host with: casemate login',
  },
  'credential-revoked': {
    about: 'the credential was taken away',
    next: 'Do not retry. Whoever runs the sandbox took this key away, and can give it back on the host with: casemate credentials restore',
  },
  'credential-changed': { about: 'the credential was changed while the request was made', next: later },
  'learned-only': {
    about: 'the sandbox runs to learn a policy: the request was written down and not carried out',
    next: undefined,
  },
  'too-many-names': {
    about: 'too many different names below one wildcard, or too many paths that a package registry does not know',
    next: 'Do not retry with other names. Names that were used before go on working; some room comes back with time.',
  },
  'too-busy': { about: 'too much at the same time', next: later },
  'journal-unwritable': { about: 'the journal of the host cannot be written, so nothing may leave', next: journal },
  unresolvable: { about: 'the name has no address', next: later },
  'address-refused': { about: 'the name leads to a private or local address', next: journal },
  unreachable: { about: 'the upstream does not answer', next: later },
  certificate: { about: 'the upstream shows a certificate that is not trusted', next: journal },
  'proxy-refused': { about: 'the proxy of the host refused', next: journal },
  slow: { about: 'the upstream took too long', next: later },
  'bad-answer': { about: 'the upstream gave an answer that cannot be passed on', next: journal },
  'request-broken': { about: 'the content of the request broke off, or cannot be read', next: asItIs },
};

/** Connections that are reset, because there is no way to tell: the outcome is in the journal alone. */
export const resets: Readonly<Record<string, string>> = {
  'unknown-address': 'nobody asked for a name with this address',
  'nothing-said': 'nothing was said on the connection in time',
  'hello-unreadable': 'the TLS greeting cannot be read for certain',
  'server-name-mismatch': 'the TLS greeting names another host than was asked for',
  'handshake-broken': 'the program does not trust the authority of the sandbox',
  'too-many-connections': 'too many connections at the same time, or in a second',
  'too-many-hosts': 'too many different hosts need a certificate',
  'too-many-names': 'too many different names below one wildcard, on a connection that is passed on unopened',
  'rule-removed': 'the rule that allowed it was taken away meanwhile',
  'credential-revoked': 'the credential it used was taken away meanwhile',
};
