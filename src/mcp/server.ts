import { Server } from '@modelcontextprotocol/sdk/server/index.js';
import {
  CallToolRequestSchema,
  ErrorCode,
  ListToolsRequestSchema,
  type CallToolResult,
  type ListToolsResult,
} from '@modelcontextprotocol/sdk/types.js';

import { toCasemateError } from '../base/errors.ts';
import { visible, visibleLines } from '../base/text.ts';
import { version } from '../system/version.ts';
import { ArgumentFault, type Tool, type ToolContext } from './tool.ts';

/** The tools as a server of the Model Context Protocol, on whatever transport it is connected to. */
export interface McpParts extends Pick<ToolContext, 'connect' | 'identity' | 'defaults' | 'host'> {
  readonly tools: readonly Tool[];
}

const instructions =
  'Each session is a sandbox for one project folder: create_session first, then execute_command, then destroy_session when the work is done. ' +
  'A sandbox reaches only what the policy of the host names. What is refused says so, and no argument widens it: tell the person who runs the host.';

/** Not the high-level class of the SDK: arguments, pages and errors are judged here. */
export function createMcpServer(parts: McpParts): Server {
  const server = new Server({ name: 'casemate', title: 'Casemate', version }, { capabilities: { tools: {} }, instructions });
  server.setRequestHandler(ListToolsRequestSchema, () => ({ tools: parts.tools.map(listed) }));
  server.setRequestHandler(CallToolRequestSchema, async ({ params }, extra) => {
    const tool = parts.tools.find(({ name }) => name === params.name);
    if (tool === undefined) {
      throw invalidParams(`there is no tool "${visible(params.name.slice(0, 100))}"`);
    }
    let sent = 0;
    // oxlint-disable-next-line no-underscore-dangle -- its name in the protocol
    const token = extra._meta?.progressToken;
    const progress = (message: string): void => {
      sent += 1;
      if (token !== undefined && !extra.signal.aborted) {
        const notification = { progressToken: token, progress: sent, message: visible(message) };
        void extra.sendNotification({ method: 'notifications/progress', params: notification }).catch(() => undefined);
      }
    };
    return await answer(tool, params.arguments, { ...parts, signal: extra.signal, progress });
  });
  return server;
}

function listed({ name, title, about, hints, inputSchema, outputSchema }: Tool): ListToolsResult['tools'][number] {
  return {
    name,
    title,
    description: about,
    inputSchema: { ...inputSchema, type: 'object' },
    outputSchema: { ...outputSchema, type: 'object' },
    annotations: { title, ...hints },
  };
}

/** Arguments that are no arguments are a fault of the protocol; what fails is an answer of the tool, with its code. */
async function answer(tool: Tool, args: unknown, context: ToolContext): Promise<CallToolResult> {
  try {
    const { structured, text } = await tool.call(args, context);
    return { content: [{ type: 'text', text }], structuredContent: { ...structured } };
  } catch (thrown) {
    if (thrown instanceof ArgumentFault) {
      throw invalidParams(thrown.message);
    }
    const { code, message, hint } = toCasemateError(thrown);
    const text = `${code}: ${visible(message)}${hint === undefined ? '' : `\n${visibleLines(hint)}`}`;
    const error = { code, message: visible(message), ...(hint === undefined ? {} : { hint: visibleLines(hint) }) };
    return { isError: true, content: [{ type: 'text', text }], _meta: { 'casemate/error': error } };
  }
}

/** Not the error class of the SDK: it puts its own words before these, and the client does so again. */
function invalidParams(message: string): Error {
  return Object.assign(new Error(message), { code: ErrorCode.InvalidParams });
}
