import type { CallerRole } from '../sandbox/stored/caller-tokens.ts';

/** A caller other than the person at this host: an agent over MCP. The daemon judges call by call what it may do. */
export interface CallerClaim {
  /** lower-case letters, digits and hyphens; its sandboxes are known by it */
  readonly name: string;
  /** absolute folders in which its projects lie */
  readonly roots: readonly string[];
  /** default `operator`. `viewer`: looks at its own; `admin`: has the sandboxes of all callers, never those of people */
  readonly role?: CallerRole | undefined;
  /** absolute; a policy file that holds for it in the place of the user's own. The organisation's bounds it as ever */
  readonly policy?: string | undefined;
  /** SHA-256 of the token it came with, in hexadecimal digits; absent: the person at this host started it */
  readonly token?: string | undefined;
}

/** A caller that comes with a token, without the token. */
export interface CallerView {
  readonly name: string;
  readonly role: CallerRole;
  readonly roots: readonly string[];
  readonly policy: string | undefined;
  readonly createdAt: string;
  readonly expiresAt: string | undefined;
  readonly expired: boolean;
}

export interface CallerAddCall {
  readonly name: string;
  readonly role: CallerRole;
  readonly roots: readonly string[];
  readonly policy?: string | undefined;
  readonly lifeMs?: number | undefined;
}
