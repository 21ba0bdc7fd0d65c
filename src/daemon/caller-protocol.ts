import type { CallerRole } from '../sandbox/caller-tokens.ts';
import type { Method, operatorMethods } from './protocol.ts';

/** What a caller says of itself to the daemon, and what it may ask for. */

/** Somebody else than the person at this host: an agent over MCP. What it may is judged by the daemon, call by call. */
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

/** How a caller's effects are named in the journal. */
export function callerActor(name: string): string {
  return `caller:${name}`;
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

/** What a caller may ask for, each about its own sandboxes and within its roots. What is not here is refused. */
export const callerMethods = [
  'plan',
  'create',
  'start',
  'stop',
  'restart',
  'destroy-list',
  'destroy',
  'exec',
  'resume',
  'close',
  'ls',
  'inspect',
  'stats',
  'session-requests',
  'session-plead',
  'session-explain',
] as const satisfies readonly Exclude<Method, (typeof operatorMethods)[number]>[];

export type CallerMethod = (typeof callerMethods)[number];

/** Of them, what changes nothing. */
export const viewerMethods = [
  'plan',
  'destroy-list',
  'ls',
  'inspect',
  'stats',
  'session-requests',
  'session-explain',
] as const satisfies readonly CallerMethod[];
