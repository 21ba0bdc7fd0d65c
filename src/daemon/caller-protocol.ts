import type { Method, operatorMethods } from './protocol.ts';

/** What a caller says of itself to the daemon, and what it may ask for. */

/** How a caller's effects are named in the journal. */
export function callerActor(name: string): string {
  return `caller:${name}`;
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
  'session-alarm',
  'session-explain',
  'snapshot-take',
  'snapshot-list',
  'snapshot-restore',
  'snapshot-remove',
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
  'snapshot-list',
] as const satisfies readonly CallerMethod[];
