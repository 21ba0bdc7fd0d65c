import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';

import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';

import { CasemateError } from '../base/errors.ts';
import type { CallerClaim } from '../daemon/caller-protocol.ts';
import { createRate, type Rate } from './rate.ts';
import { createMcpServer, type McpParts } from './server.ts';

/**
 * Many callers over Streamable HTTP, on loopback alone. This process holds no secret but what passes through: who a token
 * belongs to, and what that caller may, says the daemon, for each request anew.
 */
export interface HttpOptions {
  readonly port: number;
  readonly tools: McpParts['tools'];
  /** Whose token it is; `undefined`: nobody's, any more. */
  readonly findCaller: (token: string) => Promise<CallerClaim | undefined>;
  readonly partsOf: (claim: CallerClaim) => Omit<McpParts, 'tools' | 'rate'>;
  readonly nowMs?: () => number;
}

export interface HttpServer {
  readonly port: number;
  readonly close: () => Promise<void>;
}

const maxBodyBytes = 8 * 1024 * 1024;
const sessionsEach = 16;
const sessionIdleMs = 30 * 60_000;
const sweepEveryMs = 60_000;

interface McpSession {
  readonly caller: string;
  readonly transport: StreamableHTTPServerTransport;
  usedMs: number;
  /** requests that are being answered */
  open: number;
}

export async function serveHttp(options: HttpOptions): Promise<HttpServer> {
  const nowMs = options.nowMs ?? (() => performance.now());
  const sessions = new Map<string, McpSession>();
  const rates = new Map<string, Rate>();
  const server = createServer((request, response) => {
    void answer({ ...options, nowMs, sessions, rates, port: portOf(server) }, request, response).catch(() => {
      refuse(response, 500, 'a fault of casemate');
    });
  });
  server.headersTimeout = 10_000;
  server.requestTimeout = 0;
  server.maxConnections = 512;
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', (error: NodeJS.ErrnoException) => {
    reject(new CasemateError('USAGE', `cannot listen on 127.0.0.1:${options.port} (${error.code ?? 'fault'})`));
  });
  server.listen(options.port, '127.0.0.1', resolve);
  await promise;
  const sweep = setInterval(() => {
    for (const { transport, usedMs, open } of sessions.values()) {
      if (open === 0 && nowMs() - usedMs > sessionIdleMs) {
        void transport.close();
      }
    }
  }, sweepEveryMs);
  return {
    port: portOf(server),
    async close() {
      clearInterval(sweep);
      await Promise.all([...sessions.values()].map(async ({ transport }) => await transport.close()));
      const closed = new Promise((done) => server.close(done));
      server.closeAllConnections();
      await closed;
    },
  };
}

function portOf(server: Server): number {
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

interface Serving extends HttpOptions {
  readonly nowMs: () => number;
  readonly sessions: Map<string, McpSession>;
  readonly rates: Map<string, Rate>;
}

async function answer(serving: Serving, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const fault = misdirected(request, serving.port);
  if (fault !== undefined) {
    refuse(response, 403, fault);
    return;
  }
  if ((request.url ?? '').split('?')[0] !== '/mcp') {
    refuse(response, 404, 'there is /mcp and nothing else');
    return;
  }
  const token = /^Bearer ([\w-]{10,200})$/.exec(request.headers.authorization ?? '')?.[1];
  const claim = token === undefined ? undefined : await serving.findCaller(token);
  if (claim === undefined) {
    response.setHeader('www-authenticate', 'Bearer');
    refuse(response, 401, 'a token of a caller is needed, and this is none');
    return;
  }
  const body = request.method === 'POST' ? await readBody(request) : undefined;
  if (body !== undefined && 'fault' in body) {
    refuse(response, body.status, body.fault);
    return;
  }
  await handOver(serving, { claim, request, response, body: body?.value });
}

/** A page in a browser of this machine must reach nothing here: its requests name another host, or an origin. */
function misdirected({ headers }: IncomingMessage, port: number): string | undefined {
  if (!['127.0.0.1', 'localhost', '[::1]'].some((name) => headers.host === `${name}:${port}`)) {
    return 'this host name is not served';
  }
  return headers.origin === undefined ? undefined : 'pages of browsers are not served';
}

interface Asked {
  readonly claim: CallerClaim;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly body: unknown;
}

async function handOver(serving: Serving, asked: Asked): Promise<void> {
  const { claim, request, response, body } = asked;
  const id = request.headers['mcp-session-id'];
  const known = typeof id === 'string' ? serving.sessions.get(id) : undefined;
  // Whether it is nobody's or another caller's is not told.
  if (id !== undefined && known?.caller !== claim.name) {
    refuse(response, 404, 'there is no such session');
    return;
  }
  const session = known ?? (await begin(serving, asked));
  if (session === undefined) {
    return;
  }
  session.open += 1;
  response.once('close', () => {
    session.open -= 1;
    session.usedMs = serving.nowMs();
  });
  await session.transport.handleRequest(request, response, body);
}

async function begin(
  { sessions, rates, nowMs, tools, partsOf }: Serving,
  { claim, response, body }: Asked,
): Promise<McpSession | undefined> {
  if (!isInitialize(body)) {
    refuse(response, 400, 'a session begins with initialize');
    return undefined;
  }
  if ([...sessions.values()].filter(({ caller }) => caller === claim.name).length >= sessionsEach) {
    response.setHeader('retry-after', '60');
    refuse(response, 429, `a caller has ${sessionsEach} connections at most`);
    return undefined;
  }
  const rate = rates.get(claim.name) ?? createRate();
  rates.set(claim.name, rate);
  const transport = new StreamableHTTPServerTransport({
    sessionIdGenerator: randomUUID,
    onsessioninitialized: (id) => void sessions.set(id, session),
  });
  const session: McpSession = { caller: claim.name, transport, usedMs: nowMs(), open: 0 };
  const server = createMcpServer({ ...partsOf(claim), tools, rate });
  await server.connect(transport);
  const closed = transport.onclose;
  // oxlint-disable-next-line unicorn/prefer-add-event-listener -- the only way the SDK has
  transport.onclose = () => {
    closed?.();
    if (transport.sessionId !== undefined) {
      sessions.delete(transport.sessionId);
    }
  };
  return session;
}

function isInitialize(body: unknown): boolean {
  return typeof body === 'object' && body !== null && 'method' in body && body.method === 'initialize';
}

type Body = { readonly value: unknown } | { readonly status: number; readonly fault: string };

async function readBody(request: IncomingMessage): Promise<Body> {
  const pieces: Buffer[] = [];
  let size = 0;
  for await (const piece of request) {
    const bytes = Buffer.from(piece);
    size += bytes.length;
    if (size > maxBodyBytes) {
      return { status: 413, fault: `a message is ${maxBodyBytes} bytes at most` };
    }
    pieces.push(bytes);
  }
  try {
    return { value: JSON.parse(Buffer.concat(pieces).toString('utf8')) };
  } catch {
    return { status: 400, fault: 'the message is no JSON' };
  }
}

function refuse(response: ServerResponse, status: number, message: string): void {
  if (response.headersSent) {
    response.destroy();
    return;
  }
  const error = { jsonrpc: '2.0', id: null, error: { code: -32_000, message } };
  response.writeHead(status, { 'content-type': 'application/json', connection: 'close' }).end(JSON.stringify(error));
}
