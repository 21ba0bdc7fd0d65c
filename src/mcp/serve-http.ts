import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';

import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';

import { gathered } from '../base/gather.ts';
import type { CallerClaim } from '../daemon/caller-view.ts';
import { listenHttp, misdirected, type Listener, type ListenerOptions } from './http-listener.ts';
import { createBackground, type CallersParts } from './background.ts';
import { idFault, shapeFault } from './message-bounds.ts';
import { createMessageRoom, type MessageRoom, type NoRoom, type Place } from './message-room.ts';
import { createRate, type Rate } from './rate.ts';
import { requestIdsIn, watchRequests, type RequestIds } from './request-ids.ts';
import { createMcpServer, type McpParts } from './server.ts';
import type { Background } from './tool-context.ts';

/**
 * Serves many callers over Streamable HTTP. This process holds no secret except the tokens that pass through it: for each
 * request the daemon says who a token belongs to and what that caller may do.
 */
export interface HttpOptions extends ListenerOptions {
  readonly tools: McpParts['tools'];
  /** Whose token it is; `undefined`: nobody's, any more. */
  readonly findCaller: (token: string) => Promise<CallerClaim | undefined>;
  /** Whether such a claim still holds; also where nobody can be asked just now. */
  readonly stillHolds: (claim: CallerClaim) => Promise<boolean>;
  readonly partsOf: (claim: CallerClaim) => Omit<McpParts, 'tools' | 'rate'>;
  readonly nowMs?: () => number;
  /** how often it is looked for connections that nobody uses */
  readonly sweepEveryMs?: number;
  /** for the messages of all callers */
  readonly room?: MessageRoom;
}

const maxBodyBytes = 8 * 1024 * 1024;
const sessionsEach = 16;
const sessionIdleMs = 30 * 60_000;
const openEach = 64;
/** how long what is under way may go on after its token was revoked, beside what the daemon ends itself */
const lookEveryMs = 1000;
/** Calls under way fail by themselves, for the daemon ends what they do; so long their answers have time to go out. */
const lastWordsMs = 3000;

interface McpSession {
  /** of the token that began it: another one of that name may be given less */
  readonly claim: CallerClaim;
  readonly transport: StreamableHTTPServerTransport;
  readonly requests: RequestIds;
  /** what goes on in it without a request */
  readonly background: Background;
  usedMs: number;
  /** requests that are being answered */
  open: number;
  /** when its token was seen to be over */
  overMs?: number;
}

export async function serveHttp(options: HttpOptions): Promise<Listener> {
  const nowMs = options.nowMs ?? (() => performance.now());
  const sessions = new Map<string, McpSession>();
  const rates = new Map<string, Rate>();
  const openRequests = new Map<string, number>();
  const room = options.room ?? createMessageRoom();
  const serving = {
    ...options,
    nowMs,
    room,
    backgrounds: new Map<string, CallersParts>(),
    sessions,
    begun: new Map<StreamableHTTPServerTransport, CallerClaim>(),
    rates,
    openRequests,
  };
  const listener = await listenHttp(options, (request, response) => {
    void answer({ ...serving, port: listener.port }, request, response).catch(() => {
      refuse(response, 500, 'a fault of casemate');
    });
  });
  const sweep = setInterval(() => {
    for (const session of sessions.values()) {
      if (session.background.isBusy()) {
        session.usedMs = nowMs();
      } else if (session.open === 0 && nowMs() - session.usedMs > sessionIdleMs) {
        end(session.transport);
      }
    }
  }, options.sweepEveryMs ?? 60_000);
  const look = setInterval(() => void endRevoked(sessions, { nowMs, stillHolds: options.stillHolds }), lookEveryMs);
  return {
    ...listener,
    async close() {
      clearInterval(sweep);
      clearInterval(look);
      await Promise.all([...sessions.values()].map(async ({ transport }) => await transport.close()));
      await listener.close();
    },
  };
}

/** Streams and calls that are open are nobody's next request: they end here. */
async function endRevoked(
  sessions: Serving['sessions'],
  { nowMs, stillHolds }: Pick<Serving, 'nowMs' | 'stillHolds'>,
): Promise<void> {
  const open = [...sessions.values()].filter((session) => session.open > 0);
  const claims = new Map(open.map(({ claim }) => [claim.token, claim]));
  for (const claim of claims.values()) {
    // oxlint-disable-next-line no-await-in-loop -- few, and a turn of the daemon each
    if (!(await stillHolds(claim))) {
      for (const session of open.filter((one) => one.claim.token === claim.token)) {
        session.overMs ??= nowMs();
      }
    }
  }
  for (const { overMs, transport } of open) {
    if (overMs !== undefined && nowMs() - overMs >= lastWordsMs) {
      end(transport);
    }
  }
}

function end(transport: StreamableHTTPServerTransport): void {
  // A fault of one connection is no end of this server.
  transport.close().catch(() => undefined);
}

interface Serving extends HttpOptions {
  readonly nowMs: () => number;
  readonly room: MessageRoom;
  readonly sessions: Map<string, McpSession>;
  /** of those, and of what is about to be one, whose it is: many may begin at once */
  readonly begun: Map<StreamableHTTPServerTransport, CallerClaim>;
  readonly rates: Map<string, Rate>;
  /** what goes on without a request, by caller */
  readonly backgrounds: Map<string, CallersParts>;
  /** requests that are not answered yet, by caller */
  readonly openRequests: Map<string, number>;
}

async function answer(serving: Serving, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const fault = misdirected(request, serving);
  if (fault !== undefined) {
    refuse(response, 403, fault);
  } else if ((request.url ?? '').split('?')[0] === '/mcp') {
    const claim = await claimIn(serving, request);
    // Who went while the daemon was asked is not counted: the end of that would never be seen.
    if (response.closed) {
      return;
    }
    await (claim === undefined ? refuseUnknown(response) : serveCaller(serving, { claim, request, response }));
  } else {
    refuse(response, 404, 'there is /mcp and nothing else');
  }
}

async function claimIn({ findCaller }: Serving, { headers }: IncomingMessage): Promise<CallerClaim | undefined> {
  const token = /^Bearer ([\w-]{10,200})$/.exec(headers.authorization ?? '')?.[1];
  return token === undefined ? undefined : await findCaller(token);
}

function refuseUnknown(response: ServerResponse): void {
  response.setHeader('www-authenticate', 'Bearer');
  refuse(response, 401, 'a token of a caller is needed, and this is none');
}

async function serveCaller(serving: Serving, asked: Omit<Asked, 'body'>): Promise<void> {
  const { request, response } = asked;
  if (!enter(serving, asked)) {
    response.setHeader('retry-after', '1');
    refuse(response, 429, `a caller has ${openEach} requests open at most`);
    return;
  }
  const body = request.method === 'POST' ? await readBody(request, placeOf(serving, asked)) : undefined;
  if (body !== undefined && 'fault' in body) {
    if (body.status === 429 || body.status === 503) {
      response.setHeader('retry-after', '1');
    }
    refuse(response, body.status, body.fault);
    return;
  }
  await handOver(serving, { ...asked, body: body?.value });
}

/** One caller alone does not take all connections of this server: also what it never finishes to send is counted. */
function enter({ openRequests: open }: Serving, { claim, response }: Pick<Asked, 'claim' | 'response'>): boolean {
  const count = open.get(claim.name) ?? 0;
  if (count >= openEach) {
    return false;
  }
  open.set(claim.name, count + 1);
  response.once('close', () => void open.set(claim.name, (open.get(claim.name) ?? 1) - 1));
  return true;
}

/** Until its answer is out: what was read is held as long. */
function placeOf({ room }: Serving, { claim, response }: Pick<Asked, 'claim' | 'response'>): Place {
  const place = room.enter(claim.name);
  response.once('close', place.leave);
  return place;
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
  if (id !== undefined && known?.claim.token !== claim.token) {
    refuse(response, 404, 'there is no such session');
    return;
  }
  const session = known ?? (await begin(serving, asked));
  if (session === undefined) {
    return;
  }
  if (response.closed) {
    forgetUnused(serving, session);
    return;
  }
  const ids = requestIdsIn(body);
  if (!session.requests.reserve(ids)) {
    refuse(response, 400, 'a request of that id is open, and each has one of its own');
    return;
  }
  session.open += 1;
  response.once('close', () => {
    session.requests.release(ids);
    session.open -= 1;
    session.usedMs = serving.nowMs();
    forgetUnused(serving, session);
  });
  await session.transport.handleRequest(request, response, body);
}

/** It did not come to be a session. */
function forgetUnused({ begun }: Serving, { transport }: McpSession): void {
  if (transport.sessionId === undefined) {
    begun.delete(transport);
  }
}

function countOf({ begun }: Serving, { name }: CallerClaim): number {
  return [...begun.values()].filter((claim) => claim.name === name).length;
}

async function begin(serving: Serving, { claim, response, body }: Asked): Promise<McpSession | undefined> {
  const { sessions, begun, rates, backgrounds, nowMs, tools, partsOf } = serving;
  if (!isInitialize(body)) {
    refuse(response, 400, 'a session begins with initialize');
    return undefined;
  }
  if (countOf(serving, claim) >= sessionsEach) {
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
  const parts = backgrounds.get(claim.name) ?? new Set();
  backgrounds.set(claim.name, parts);
  const background = createBackground(parts);
  const server = createMcpServer({ ...partsOf(claim), tools, rate }, background);
  begun.set(transport, claim);
  await server.connect(transport);
  const session: McpSession = { claim, transport, requests: watchRequests(transport), background, usedMs: nowMs(), open: 0 };
  const closed = transport.onclose;
  // oxlint-disable-next-line unicorn/prefer-add-event-listener -- the only way the SDK has
  transport.onclose = () => {
    closed?.();
    begun.delete(transport);
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

async function readBody(request: IncomingMessage, place: Place): Promise<Body> {
  let full: NoRoom | undefined;
  const fits = (size: number): boolean => size <= maxBodyBytes && (full = place.grow(size)) === undefined;
  const whole = await gathered(request, fits, 'read on');
  if (whole === undefined) {
    place.leave();
    return full ?? { status: 413, fault: `a message is ${maxBodyBytes} bytes at most` };
  }
  const odd = shapeFault(whole);
  if (odd !== undefined) {
    return { status: 400, fault: odd };
  }
  try {
    const value: unknown = JSON.parse(whole.toString('utf8'));
    const fault = idFault(value);
    return fault === undefined ? { value } : { status: 400, fault };
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
