import { z } from 'zod';

import type { SandboxView } from '../daemon/protocol.ts';

/** A session as callers see it: what they may know of a sandbox. */
export const sessionView = z.strictObject({
  sessionId: z.string().describe('names the session in every other call'),
  sessionName: z.string(),
  state: z
    .string()
    .describe('`running`; `stopped`: it fell idle or the host was started anew, and goes on with the next command'),
  reason: z.string().describe('why it is in that state, in a word'),
  agent: z.string().optional(),
  projectPath: z.string().describe('the folder on the host that is /workspace inside'),
  readonly: z.boolean(),
  level: z.string(),
  createdAt: z.string(),
  startedAt: z.string().optional(),
  expiresAt: z.string().optional().describe('when it is stopped for good'),
  policyHash: z.string(),
  alarms: z.number().describe('how often something was seen that a person has to look at'),
});

export type SessionView = z.output<typeof sessionView>;

export function sessionOf(view: SandboxView): SessionView {
  return {
    sessionId: view.id,
    sessionName: view.name,
    state: view.state,
    reason: view.reason,
    ...(view.agent === undefined ? {} : { agent: view.agent }),
    projectPath: view.workspace,
    readonly: view.mode === 'readonly',
    level: view.level,
    createdAt: view.createdAt,
    ...(view.startedAt === undefined ? {} : { startedAt: view.startedAt }),
    ...(view.expiresAt === undefined ? {} : { expiresAt: view.expiresAt }),
    policyHash: view.policyHash,
    alarms: view.alarms,
  };
}

/** Of an argument that names a session. */
export const sessionId = z.string().min(1).max(64).describe('id or name of a session of yours');
