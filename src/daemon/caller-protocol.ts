import type { Method, operatorMethods } from './protocol.ts';

/** What a caller says of itself to the daemon, and what it may ask for. */

/** Somebody else than the person at this host: an agent over MCP. What it may is judged by the daemon, call by call. */
export interface CallerClaim {
  /** lower-case letters, digits and hyphens; its sandboxes are known by it */
  readonly name: string;
  /** absolute folders in which its projects lie */
  readonly roots: readonly string[];
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
