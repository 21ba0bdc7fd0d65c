import { labAwsHost } from '../../policy/layers/lab-hosts.ts';

/**
 * Hosts of the lab, below a name that is reserved for tests (RFC 2606). Each has a rule of its kind in the lab's policy
 * (`lab-rules.ts`), except `denied`.
 */
export const hosts = {
  /** port 443 passed through, port 80 in clear, everything allowed */
  allowed: 'allowed.proof.test',
  /** TLS is opened: POST /v1/messages and GET /v1/echo only, with the lab's credential in `x-api-key` */
  opened: 'opened.proof.test',
  /** TLS is opened and content read, everything allowed, no credential */
  judged: 'judged.proof.test',
  /** every name below it, passed through */
  wild: 'wild.proof.test',
  /** the same once more, for who uses up what names below a wildcard may carry */
  channel: 'channel.proof.test',
  /** allowed, but its address is what the lab's resolver says at that moment; no override */
  rebind: 'rebind.proof.test',
  /** the same for every name below it */
  flip: 'flip.proof.test',
  /** the same, with TLS opened and the lab's credential */
  flipOpened: 'flip-opened.proof.test',
  /** raw TCP on port 5432 */
  raw: 'raw.proof.test',
  /** a credential, on port 80 too, and no override: in clear it must not go */
  clear: 'clear.proof.test',
  /** with a credential that a probe may change and revoke */
  rotating: 'rotating.proof.test',
  /** with a credential of its own and a budget of a few requests */
  metered: 'metered.proof.test',
  /** reads of repositories only, as of a forge's interface */
  forge: 'forge.proof.test',
  /** pushes to `agent/*` of one repository */
  git: 'git.proof.test',
  /** a package registry; only where `Lab.hasRegistry` */
  registry: 'registry.proof.test',
  /** answers byte for byte what `World.script` says, with the lab's credential */
  scripted: 'scripted.proof.test',
  /** their certificates are as their names say; each with the lab's credential */
  expired: 'expired.proof.test',
  early: 'early.proof.test',
  stranger: 'stranger.proof.test',
  misnamed: 'misnamed.proof.test',
  /** signed anew with the lab's keys of AWS: GET and PUT below /held */
  signed: labAwsHost,
  denied: 'denied.proof.test',
} as const;

/** of `signed` */
export const signedRegion = 'xx-proof-1';

export const rawPort = 5432;

/** Requests that the budget of `metered` lets through. */
export const meteredRequests = 3;
