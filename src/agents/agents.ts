import type { Agent } from './agent.ts';
import { claude } from './claude.ts';
import { codex } from './codex.ts';

/** All coding agents by the names that policies and the command line use. */
export const agents = { claude, codex } as const satisfies Readonly<Record<string, Agent>>;

export type AgentName = keyof typeof agents;

export function isAgentName(name: string): name is AgentName {
  return Object.hasOwn(agents, name);
}
