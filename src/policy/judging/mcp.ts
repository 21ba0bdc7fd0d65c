import { compileGlob, matchPath } from '../matching/match-path.ts';
import type { McpAllowance } from '../policy.ts';
import { hasPlainKeys, isObject, readStrictJson, type JsonObject, type JsonValue } from '../../base/strict-json.ts';

/**
 * Calls of the Model Context Protocol in the content of a request (JSON-RPC 2.0, Streamable HTTP), and which of them a rule
 * allows.
 */

export interface McpCalls {
  readonly kind: 'mcp';
  /** requests and notifications, a batch in its order; answers to the server are not among them */
  readonly calls: readonly McpCall[];
}

export interface McpCall {
  readonly method: string;
  /** of `tools/call` */
  readonly tool: string | undefined;
}

/** What a session needs and no tool is run by. */
export const sessionMethods: readonly string[] = [
  'initialize',
  'ping',
  'notifications/**',
  'tools/list',
  'prompts/list',
  'resources/list',
  'resources/templates/list',
  'logging/setLevel',
];

/** `undefined`: not a message that every reader reads alike. */
export function readMcpCalls(bytes: Uint8Array): McpCalls | undefined {
  const json = readStrictJson(bytes);
  const messages = Array.isArray(json) ? (json as readonly JsonValue[]) : [json];
  if (json === undefined || messages.length === 0 || messages.length > 256) {
    return undefined;
  }
  const calls: McpCall[] = [];
  for (const message of messages) {
    const call = isObject(message) ? readMessage(message) : undefined;
    if (call === undefined) {
      return undefined;
    }
    if (call !== 'answer') {
      calls.push(call);
    }
  }
  return { kind: 'mcp', calls };
}

const envelopeKeys = ['jsonrpc', 'id', 'method', 'params', 'result', 'error'];

function readMessage(message: JsonObject): McpCall | 'answer' | undefined {
  if (message['jsonrpc'] !== '2.0' || !hasPlainKeys(message, envelopeKeys)) {
    return undefined;
  }
  const { method, params } = message;
  if (method === undefined) {
    return 'result' in message || 'error' in message ? 'answer' : undefined;
  }
  if (typeof method !== 'string' || !/^[A-Za-z0-9_$./-]{1,128}$/.test(method) || 'result' in message || 'error' in message) {
    return undefined;
  }
  return method === 'tools/call' ? readToolCall(method, params) : { method, tool: undefined };
}

function readToolCall(method: string, params: JsonValue | undefined): McpCall | undefined {
  const tool = isObject(params) && hasPlainKeys(params, ['name', 'arguments', '_meta']) ? params['name'] : undefined;
  return typeof tool === 'string' && isToolName(tool) ? { method, tool } : undefined;
}

function isToolName(name: string): boolean {
  return /^[\x21-\x7e]{1,256}$/.test(name);
}

export function refusedCalls(allowances: readonly McpAllowance[], { calls }: McpCalls): readonly McpCall[] {
  return calls.filter((call) => !allowances.some((one) => isCallAllowed(one, call)));
}

function isCallAllowed({ tools, methods }: McpAllowance, { method, tool }: McpCall): boolean {
  if (tool !== undefined) {
    return tools === undefined || tools.some((one) => matches(one, tool));
  }
  // A rule that names neither allows the whole protocol.
  const isWhole = tools === undefined && methods === undefined;
  return isWhole || [...sessionMethods, ...(methods ?? [])].some((one) => matches(one, method));
}

function matches(pattern: string, name: string): boolean {
  return matchPath(compileGlob(pattern), name);
}
