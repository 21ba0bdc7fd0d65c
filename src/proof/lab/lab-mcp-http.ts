import { createServer, request as httpRequest } from 'node:http';

import { CasemateError } from '../../base/errors.ts';
import { listening } from '../../system/listening.ts';
import { eventually } from '../eventually.ts';
import type { Lab } from './lab.ts';

/** `casemate mcp serve` in the lab, and raw requests to it whose heads the probe chooses. */
export interface LabHttp {
  readonly port: number;
  /** The token of a new caller. */
  readonly add: (name: string, ...args: readonly string[]) => Promise<string>;
  readonly post: (message: object, headers?: Headers) => Promise<HttpSeen>;
  /** The id of a new session of the protocol. */
  readonly begin: (token: string) => Promise<string>;
  /** What a tool answered, or what was refused before it was asked. */
  readonly call: (who: Connected, tool: string, args: object) => Promise<ToolSeen>;
  readonly close: () => void;
}

type Headers = Readonly<Record<string, string>>;

export interface Connected {
  readonly token: string;
  readonly session: string;
}

export interface HttpSeen {
  /** 0: the connection ended without an answer */
  readonly status: number;
  readonly session: string;
  readonly text: string;
}

export interface ToolSeen {
  /** `undefined`: it was done */
  readonly refused: string | undefined;
  readonly result: Readonly<Record<string, unknown>>;
}

const longestMs = 60_000;

export async function openHttp(lab: Lab): Promise<LabHttp> {
  let next = 1;
  const port = await freePort();
  const server = lab.open(['mcp', 'serve', '--port', String(port)]);
  const post: LabHttp['post'] = async (message, headers = {}) => await send(port, message, headers);
  const listens = await eventually(async () => ((await post({})).status === 0 ? undefined : true), 20_000);
  if (listens === undefined) {
    server.end();
    throw new CasemateError('ENGINE_FAILED', 'casemate mcp serve does not answer in the lab');
  }
  return {
    port,
    post,
    close: server.end,
    async add(name, ...args) {
      const { code, out, err } = await lab.casemate(['caller', 'add', name, ...args]);
      if (code !== 0) {
        throw new CasemateError('ENGINE_FAILED', `no caller can be added in the lab: ${err.toString('utf8').slice(0, 200)}`);
      }
      return out.toString('utf8').trim();
    },
    begin: async (token) => (await post(hello, bearer(token))).session,
    async call({ token, session }, tool, args) {
      // Of two calls under way with one id only one is answered.
      next += 1;
      const message = { id: next, method: 'tools/call', params: { name: tool, arguments: args } };
      return readAnswer(await post(message, { ...bearer(token), 'mcp-session-id': session }));
    },
  };
}

export function bearer(token: string): Headers {
  return { authorization: `Bearer ${token}` };
}

export const hello = {
  id: 1,
  method: 'initialize',
  params: { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'proof', version: '1' } },
} as const;

async function freePort(): Promise<number> {
  const server = createServer();
  await listening(server, { host: '127.0.0.1', port: 0 });
  const address = server.address();
  await new Promise((closed) => server.close(closed));
  return typeof address === 'object' && address !== null ? address.port : 0;
}

async function send(port: number, message: object, headers: Headers): Promise<HttpSeen> {
  const { promise, resolve } = Promise.withResolvers<HttpSeen>();
  const nothing = { status: 0, session: '', text: '' };
  const request = httpRequest(
    {
      host: '127.0.0.1',
      port,
      path: '/mcp',
      method: 'POST',
      // Of the whole exchange: a stream that is kept open must not keep a probe.
      signal: AbortSignal.timeout(longestMs),
      headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream', ...headers },
    },
    (response) => {
      const pieces: Buffer[] = [];
      response.on('data', (piece: Buffer) => void pieces.push(piece));
      response.once('error', () => resolve(nothing));
      response.once('end', () => {
        const session = response.headers['mcp-session-id'];
        resolve({
          status: response.statusCode ?? 0,
          session: typeof session === 'string' ? session : '',
          text: Buffer.concat(pieces).toString('utf8'),
        });
      });
    },
  );
  request.once('error', () => resolve(nothing));
  request.end(JSON.stringify({ jsonrpc: '2.0', ...message }));
  return await promise;
}

interface Answer {
  readonly error?: { readonly message?: string };
  readonly result?: {
    readonly isError?: boolean;
    readonly content?: readonly { readonly text?: string }[];
    readonly structuredContent?: Readonly<Record<string, unknown>>;
  };
}

/** The answer is the last event of a stream, or the whole text. */
function readAnswer({ status, text }: HttpSeen): ToolSeen {
  const events = text.split('\n').flatMap((line) => (line.startsWith('data: {') ? [line.slice('data: '.length)] : []));
  try {
    // oxlint-disable-next-line no-unsafe-type-assertion -- what this very program prints
    const { error, result } = JSON.parse(events.at(-1) ?? text) as Answer;
    const said = result?.isError === true ? (result.content?.[0]?.text ?? 'refused') : undefined;
    return { refused: error?.message ?? said, result: result?.structuredContent ?? {} };
  } catch {
    return { refused: `status ${status}`, result: {} };
  }
}
