import { Server } from '@modelcontextprotocol/sdk/server/index.js';
import {
  CallToolRequestSchema,
  ErrorCode,
  GetPromptRequestSchema,
  ListPromptsRequestSchema,
  ListResourcesRequestSchema,
  ListResourceTemplatesRequestSchema,
  ListToolsRequestSchema,
  ReadResourceRequestSchema,
  type CallToolResult,
  type ListToolsResult,
} from '@modelcontextprotocol/sdk/types.js';

import { toCasemateError } from '../base/errors.ts';
import { visible, visibleLines } from '../base/text.ts';
import { version } from '../system/version.ts';
import { createBackground } from './background.ts';
import { callerHint } from './caller-hint.ts';
import { prompts } from './prompts.ts';
import { listResources, readResource, resourceTemplates } from './resources.ts';
import type { Rate } from './rate.ts';
import { ArgumentFault, type Tool } from './tool.ts';
import type { ToolContext } from './tool-context.ts';

/** Offers the tools as a server of the Model Context Protocol, on whatever transport it is connected to. */
export interface McpParts extends Pick<ToolContext, 'connect' | 'identity' | 'defaults' | 'host'> {
  readonly tools: readonly Tool[];
  readonly rate: Rate;
}

const instructions =
  'Each session is a sandbox for one project folder: create_session first, then execute_command, then destroy_session when the work is done. ' +
  'A sandbox reaches only what the policy of the host names. What is refused says so, and no argument widens it: tell the person who runs the host.';

/** Not the high-level class of the SDK: arguments, pages and errors are judged here. */
export function createMcpServer(parts: McpParts, background = createBackground()): Server {
  const server = new Server(
    { name: 'casemate', title: 'Casemate', version },
    { capabilities: { tools: {}, resources: {}, prompts: {} }, instructions },
  );
  // An answer of one page for a question of one line, and a hundred of these in one message: they are counted, too.
  const paced: Paced = async (kind, work) =>
    await clearly(async () => {
      parts.rate.take(kind);
      const leave = parts.rate.enter();
      try {
        return await work();
      } finally {
        leave();
      }
    });
  server.setRequestHandler(ListToolsRequestSchema, () => paced('tools/list', () => ({ tools: parts.tools.map(listed) })));
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
    const spend = (more: number): void => parts.rate.take(tool.name, more);
    return await answer(tool, params.arguments, { ...parts, background, signal: extra.signal, progress, spend });
  });
  const nothing = (): void => undefined;
  const contextOf = (signal: AbortSignal): ToolContext => ({ ...parts, background, signal, progress: nothing, spend: nothing });
  serveResources(server, { contextOf, paced });
  servePrompts(server, paced);
  // oxlint-disable-next-line unicorn/prefer-add-event-listener -- the only way the SDK has
  server.onclose = background.close;
  return server;
}

/** Work of one kind, as often as a caller may have it done. */
type Paced = <T>(kind: string, work: () => T | Promise<T>) => Promise<T>;

interface ResourceParts {
  readonly contextOf: (signal: AbortSignal) => ToolContext;
  readonly paced: Paced;
}

function serveResources(server: Server, { contextOf, paced }: ResourceParts): void {
  server.setRequestHandler(ListResourcesRequestSchema, async (_, { signal }) => ({
    resources: [...(await paced('resources/list', async () => await listResources(contextOf(signal))))],
  }));
  server.setRequestHandler(ListResourceTemplatesRequestSchema, () =>
    paced('resources/templates/list', () => ({ resourceTemplates: resourceTemplates.map((template) => ({ ...template })) })),
  );
  server.setRequestHandler(ReadResourceRequestSchema, async ({ params }, { signal }) => {
    const {
      uri,
      mimeType,
      text,
      blob = '',
    } = await paced('resources/read', async () => await readResource(params.uri, contextOf(signal)));
    return { contents: [text === undefined ? { uri, mimeType, blob } : { uri, mimeType, text }] };
  });
}

function servePrompts(server: Server, paced: Paced): void {
  server.setRequestHandler(ListPromptsRequestSchema, () =>
    paced('prompts/list', () => ({
      prompts: prompts.map(({ name, title, description, arguments: given }) => ({
        name,
        title,
        description,
        arguments: [...given],
      })),
    })),
  );
  server.setRequestHandler(GetPromptRequestSchema, async ({ params }) => {
    await paced('prompts/get', () => undefined);
    const prompt = prompts.find(({ name }) => name === params.name);
    if (prompt === undefined) {
      throw invalidParams(`there is no prompt "${visible(params.name.slice(0, 100))}"`);
    }
    const given = params.arguments ?? {};
    const missing = prompt.arguments.find(({ name }) => given[name] === undefined);
    if (missing !== undefined) {
      throw invalidParams(`${prompt.name}: ${missing.name}: is missing`);
    }
    const content = { type: 'text' as const, text: prompt.text(given) };
    return { description: prompt.description, messages: [{ role: 'user' as const, content }] };
  });
}

/** What is no tool has no place for our codes but the message. */
async function clearly<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (thrown) {
    const { code, message } = toCasemateError(thrown);
    throw invalidParams(`${code}: ${visible(message)}`);
  }
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
async function answer(
  tool: Tool,
  args: unknown,
  { rate, ...context }: ToolContext & { readonly rate: Rate },
): Promise<CallToolResult> {
  try {
    rate.take(tool.name);
    const leave = rate.enter();
    try {
      const { structured, text } = await tool.call(args, context);
      return { content: [{ type: 'text', text }], structuredContent: { ...structured } };
    } finally {
      leave();
    }
  } catch (thrown) {
    if (thrown instanceof ArgumentFault) {
      throw invalidParams(thrown.message);
    }
    const { code, message, hint: words } = toCasemateError(thrown);
    const hint = callerHint(code, words);
    const text = `${code}: ${visible(message)}${hint === undefined ? '' : `\n${visibleLines(hint)}`}`;
    const error = { code, message: visible(message), ...(hint === undefined ? {} : { hint: visibleLines(hint) }) };
    return { isError: true, content: [{ type: 'text', text }], _meta: { 'casemate/error': error } };
  }
}

/** Not the error class of the SDK: it puts its own words before these, and the client does so again. */
function invalidParams(message: string): Error {
  return Object.assign(new Error(message), { code: ErrorCode.InvalidParams });
}
