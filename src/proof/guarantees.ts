/**
 * What Casemate guarantees, by number: the rows of the threat model, and what a proof gives its verdict on. Changed by hand,
 * with a reason; the probes say which of them they attack.
 */
export interface Guarantee {
  /** one sentence, as in the threat model */
  readonly text: string;
  /** attackers it holds against, by `attackers` below; `faults`: what breaks by itself */
  readonly against: string;
}

export const attackers = {
  A1: 'code running in the sandbox as the agent: a prompt-injected model, a hostile dependency',
  A2: "the same code with root in the sandbox's user namespace",
  A3: 'a hostile image or recipe',
  A4: 'a hostile caller with a valid token',
  A5: "a web page in the operator's browser",
  A6: 'another user of the machine',
  A7: "someone who can write to Casemate's stored state",
} as const satisfies Record<string, string>;

export const guarantees = {
  G1: {
    text: 'No process has a capability, can gain privilege, or can open a socket family, netlink protocol or system call outside the published set',
    against: 'A1–A3',
  },
  G2: {
    text: 'The specification that runs equals the reviewed (golden) one for its kind; the runtime that was asked for is the one that runs',
    against: 'A1–A4',
  },
  G3: {
    text: 'Root inside is nobody outside; no file left on the host belongs to another user, is setuid or a device',
    against: 'A2',
  },
  G4: { text: 'Only declared mounts are visible; read-only ones cannot change', against: 'A1–A2' },
  G5: {
    text: 'Protected names cannot be created, replaced, renamed around or aliased, whether or not they exist',
    against: 'A1–A2',
  },
  G6: { text: 'Nothing a sandbox wrote is executed on the host by Casemate', against: 'A1–A3' },
  G7: { text: "No file that tools on the host execute automatically reaches the user's tree unapproved", against: 'A1–A3' },
  G8: { text: 'A path that a sandbox controls is never followed on the host', against: 'A1–A3' },
  G9: {
    text: 'There is no route but the gateway; without it, connections fail at once instead of finding another way',
    against: 'A1–A2',
  },
  G10: { text: 'A destination outside the policy is neither resolved nor dialled', against: 'A1–A2' },
  G11: {
    text: 'One canonical destination is used throughout; a destination without a canonical form is refused',
    against: 'A1–A2',
  },
  G12: {
    text: 'Where TLS is terminated, each request is parsed, judged and rebuilt, and none can end another',
    against: 'A1–A2',
  },
  G13: {
    text: 'Credentials never enter a sandbox, go only to their declared place at the declared host over verified TLS, and are removed from what comes back',
    against: 'A1–A3, A7',
  },
  G14: { text: "An allowed host accepts only the declared functions, under the gateway's identity", against: 'A1, A4' },
  G15: {
    text: 'Protection is widened only by a person, on a channel that neither sandbox nor model can reach',
    against: 'A1–A4',
  },
  G16: {
    text: 'A missing layer, unreadable policy, full disk, dead gateway or dead journal stops work, and the error names it',
    against: 'faults',
  },
  G17: { text: 'Every effect has one record', against: 'A1–A4' },
  G18: {
    text: 'Whoever holds the witness detects records that were changed, removed or reordered, and a shortened journal',
    against: 'A7',
  },
  G19: { text: "Nothing a sandbox emits can control the operator's terminal through what Casemate prints", against: 'A1' },
  G20: { text: 'Sandboxes cannot reach, read or slow one another', against: 'A1–A2' },
  G21: { text: 'The control socket cannot be reached from inside or by other users', against: 'A1, A6' },
  G22: { text: 'Processes, memory, disk, files, log and connections have limits', against: 'A1–A2' },
  G23: { text: 'Every way into a sandbox has the same confinement', against: 'A4' },
  G24: { text: 'Destroyed means gone', against: 'A1, A6' },
  G25: { text: 'Images are identified by digest; runtime versions below the known-good floor are refused', against: 'A3' },
} as const satisfies Record<string, Guarantee>;

export type GuaranteeId = keyof typeof guarantees;

// oxlint-disable-next-line no-unsafe-type-assertion -- the keys of the table above
export const guaranteeIds = Object.keys(guarantees) as readonly GuaranteeId[];

export function isGuaranteeId(text: string): text is GuaranteeId {
  return Object.hasOwn(guarantees, text);
}
