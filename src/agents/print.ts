import { parseJson } from '../base/json.ts';

/** How an agent works on one task without a person, and what its output means. */
export interface AgentPrint {
  /** it takes servers of the Model Context Protocol from a file */
  readonly takesMcpFile: boolean;
  /** where it takes the task */
  readonly takesPrompt: 'stdin' | 'argument';
  /** Throws `UNSUPPORTED`, naming the argument, for what this agent has no way to do. */
  readonly command: (task: AgentTask) => readonly string[];
  /** A reader for the output of one task. */
  readonly reader: () => AgentReader;
}

/**
 * Is given one line of the output after the other, and `undefined` at its end. Answers `undefined` for what a caller is not
 * told. What the lines hold was written in the sandbox.
 */
export type AgentReader = (line: string | undefined) => AgentNote | undefined;

export interface AgentTask {
  readonly permissions: 'ask' | 'skip';
  /** for an agent that takes it as an argument */
  readonly prompt?: string | undefined;
  /** tools it may use without asking, and no others; absent: as its permissions say */
  readonly tools?: readonly string[] | undefined;
  readonly model?: string | undefined;
  /** dollars, by the agent's own count */
  readonly maxBudgetUsd?: number | undefined;
  /** id of an earlier conversation in this sandbox */
  readonly resume?: string | undefined;
  /** absolute path inside of the file with its servers */
  readonly mcpFile?: string | undefined;
}

export interface AgentNote {
  /** lines for who looks on */
  readonly say?: readonly string[] | undefined;
  readonly report?: Partial<AgentReport> | undefined;
}

/** What is known of a task; later notes replace earlier ones. */
export interface AgentReport {
  /** what it said last, its result */
  readonly result: string;
  /** it says itself that it did not come to its end */
  readonly failed: boolean;
  /** resumes this conversation */
  readonly conversation: string;
  readonly turns: number;
  /** by the agent's own count; no bill */
  readonly costUsd: number;
  readonly usage: AgentUsage;
}

export interface AgentUsage {
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly cacheReadTokens: number;
  readonly cacheWriteTokens: number;
}

/** Of a line of JSON; `undefined` where it is none, for agents print other lines, too. */
export function parseLine(line: string): unknown {
  const value = parseJson(line);
  return typeof value === 'object' && value !== null ? value : undefined;
}

/** An own member of an object of strangers. */
export function member(value: unknown, ...path: readonly string[]): unknown {
  return path.reduce<unknown>(
    (inner, name) =>
      typeof inner === 'object' && inner !== null && Object.hasOwn(inner, name)
        ? Object.getOwnPropertyDescriptor(inner, name)?.value
        : undefined,
    value,
  );
}

export function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

export function countOf(value: unknown): number {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0 ? value : 0;
}
