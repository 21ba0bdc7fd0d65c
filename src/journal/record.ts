import type { Attestation, AttestationKind } from './attest.ts';

/** The shape of one line of the journal. Types only; no effects. */

/** What a caller states; the journal adds time, sequence and hashes. Values are plain text, never a secret. */
export interface JournalEntry {
  /** sandbox id, or undefined for effects outside any sandbox */
  readonly sandbox?: string | undefined;
  /** who caused it: `user:<uid>`, `sandbox`, `daemon`, later `caller:<token id>` */
  readonly actor: string;
  /** dotted verb, e.g. `sandbox.create`, `net.exchange`, `exec.start` */
  readonly action: string;
  /** what it was done to: a name, `host:port`, an argument list digest */
  readonly subject: string;
  readonly decision: 'allow' | 'deny' | 'none';
  /** id of the rule that decided, where one did */
  readonly rule?: string | undefined;
  /** `ok`, or what went wrong, in a word or two */
  readonly outcome: string;
  /** HMAC-SHA256 of the credential used, under the journal's own key, hex, first 16 digits */
  readonly credential?: string | undefined;
  /** SHA-256 of the policy in force, hex */
  readonly policy?: string | undefined;
  /** further facts: at most 24; names of letters, digits, `_`, `.`, `-` that begin with a letter; finite numbers, short texts */
  readonly detail?: Readonly<Record<string, string | number | boolean>> | undefined;
}

export interface JournalRecord extends JournalEntry {
  /** starts at 1, no gaps */
  readonly seq: number;
  /** RFC 3339, UTC, milliseconds */
  readonly time: string;
  /** SHA-256 of the line before, hex; 64 zeros for the first */
  readonly previous: string;
}

/** The one writer of a journal. */
export interface Journal {
  /**
   * Resolves when the line is durable on disk; many callers share one fsync. Throws `JOURNAL_UNWRITABLE`: then nothing is
   * recorded. Texts longer than 2,048 characters are cut and end in their length and digest.
   */
  readonly append: (entry: JournalEntry) => Promise<JournalRecord>;
  /** Keyed hash of a credential's value for `JournalEntry.credential`. */
  readonly credentialHash: (value: string) => string;
  /** Signed statement of the present head, also written to the witness file apart from the journal. */
  readonly checkpoint: () => Promise<void>;
  /** Last checkpoint, then closes the file. */
  readonly close: () => Promise<void>;
}

/** What the daemon has: it can also look back, and vouch for other things with the journal's key. */
export interface SigningJournal extends Journal {
  /** What is durable, the newest first. */
  readonly newestFirst: () => AsyncGenerator<JournalRecord>;
  /** Signs a statement about something else than the journal; nothing is recorded by it. */
  readonly attest: (kind: AttestationKind, text: string) => Attestation;
}
