/** The SDK's own client, with the real server over standard input and output. */
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import type { CallToolResult, Progress } from '@modelcontextprotocol/sdk/types.js';

import { entry, type Home } from './cli.ts';

export interface McpCaller {
  readonly client: Client;
  readonly pid: () => number | undefined;
  /** The structured answer; throws `CODE: message` where the tool failed. */
  readonly call: (name: string, args?: object, options?: CallOptions) => Promise<Record<string, unknown>>;
  /** The answer as it is, failed or not. */
  readonly raw: (name: string, args?: object) => Promise<CallToolResult>;
  /** What was refused, in one line: of the tool, or of the protocol with `-32602` before it. */
  readonly refusal: (name: string, args?: object) => Promise<string>;
  readonly close: () => Promise<void>;
}

export interface CallOptions {
  readonly signal?: AbortSignal;
  readonly onprogress?: (progress: Progress) => void;
  readonly timeout?: number;
}

export interface CallerOptions {
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

export async function startCaller(
  home: Home,
  { args = ['--root', home.root], env = {} }: CallerOptions = {},
): Promise<McpCaller> {
  const transport = new StdioClientTransport({
    command: process.execPath,
    // Tests are faster than a caller may be.
    args: [entry, 'mcp', '--pace', '1000', ...args],
    env: { ...home.env, ...env },
    cwd: home.project,
    stderr: 'inherit',
  });
  const client = new Client({ name: 'casemate-test', version: '1' });
  await client.connect(transport);
  const raw = async (name: string, given: object = {}, options: CallOptions = {}): Promise<CallToolResult> =>
    (await client.callTool({ name, arguments: { ...given } }, undefined, { timeout: 120_000, ...options })) as CallToolResult;
  return {
    client,
    pid: () => transport.pid ?? undefined,
    raw,
    async call(name, given, options) {
      const answer = await raw(name, given, options);
      if (answer.isError === true) {
        throw new Error(textOf(answer));
      }
      return answer.structuredContent ?? {};
    },
    async refusal(name, given) {
      try {
        const answer = await raw(name, given);
        return answer.isError === true ? textOf(answer) : 'nothing was refused';
      } catch (error) {
        return error instanceof Error ? error.message : String(error);
      }
    },
    close: async () => await client.close(),
  };
}

export function textOf({ content }: CallToolResult): string {
  return content.map((part) => (part.type === 'text' ? part.text : '')).join('\n');
}
