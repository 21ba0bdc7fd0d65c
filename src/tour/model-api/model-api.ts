import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

import { answerMessages, countTokens, messageEvents, messageJson } from './messages.ts';
import { field } from './fields.ts';
import { answerResponses, responseEvents, responseJson } from './responses.ts';
import type { Script } from './script.ts';

/**
 * A stand-in for the model APIs on loopback, for the tour without a credential and for tests. It speaks the Messages API
 * (and the Responses API for Codex) with streaming and real tool calls, but there is no model: a script decides.
 */
export interface ModelApi {
  /** `http://127.0.0.1:<port>` */
  readonly url: string;
  readonly port: number;
  /** everything that was asked, in order; no header and no body is kept */
  readonly requests: readonly ModelRequest[];
  readonly close: () => Promise<void>;
}

export interface ModelRequest {
  readonly method: string;
  /** path with query */
  readonly path: string;
  /** it carried the expected key */
  readonly authorized: boolean;
  readonly status: number;
}

export interface ModelApiOptions {
  /** the key, or whether a key or token is good now */
  readonly expectedKey: string | ((given: string) => boolean);
  readonly script: Script;
  readonly host?: string;
  /** default: any free port */
  readonly port?: number;
}

const routes = new Set([
  'POST /v1/messages',
  'POST /v1/messages/count_tokens',
  'POST /v1/responses',
  'GET /backend-api/wham/accounts/check',
]);

const maxBodyBytes = 32 * 1024 * 1024;

interface Answer {
  readonly status: number;
  readonly type: 'application/json' | 'text/event-stream';
  readonly parts: readonly string[];
}

export async function startModelApi(options: ModelApiOptions): Promise<ModelApi> {
  const requests: ModelRequest[] = [];
  const server = createServer((request, response) => {
    void serve(request, response, options).then((record) => requests.push(record));
  });
  const { promise, resolve, reject } = Promise.withResolvers<AddressInfo>();
  server.once('error', reject);
  server.listen(options.port ?? 0, options.host ?? '127.0.0.1', () => {
    const address = server.address();
    if (typeof address === 'object' && address !== null) {
      resolve(address);
    }
  });
  const { port, address } = await promise;
  return {
    url: `http://${address}:${port}`,
    port,
    requests,
    async close() {
      server.closeAllConnections();
      await new Promise((ended) => server.close(ended));
    },
  };
}

async function serve(request: IncomingMessage, response: ServerResponse, options: ModelApiOptions): Promise<ModelRequest> {
  const { method = '', url: path = '/' } = request;
  const authorized = hasKey(request, options.expectedKey);
  const answer = await answerFor(request, authorized, options.script).catch(() =>
    fault(400, 'invalid_request_error', 'the body cannot be read'),
  );
  // As the real API: without the last header clients repeat a request ten times that will fail ten times.
  const retry = answer.status < 400 ? {} : { 'x-should-retry': 'false' };
  response.writeHead(answer.status, { 'content-type': answer.type, 'request-id': 'req_standin', ...retry });
  for (const part of answer.parts) {
    response.write(part);
  }
  response.end();
  return { method, path, authorized, status: answer.status };
}

function hasKey({ headers }: IncomingMessage, expected: ModelApiOptions['expectedKey']): boolean {
  const key = headers['x-api-key'];
  const given = typeof key === 'string' ? key : (headers.authorization ?? '').replace(/^Bearer /, '');
  return typeof expected === 'string' ? given === expected : expected(given);
}

async function answerFor(request: IncomingMessage, authorized: boolean, script: Script): Promise<Answer> {
  const body = await readBody(request);
  const path = (request.url ?? '/').split('?')[0] ?? '';
  // Codex with a login asks for the same under another path.
  const route = `${request.method ?? ''} ${path === '/backend-api/codex/responses' ? '/v1/responses' : path}`;
  if (!routes.has(route)) {
    return fault(404, 'not_found_error', `the stand-in has no ${route}`);
  }
  if (!authorized) {
    return fault(401, 'authentication_error', 'invalid x-api-key');
  }
  if (body === undefined) {
    return fault(413, 'request_too_large', `the body is longer than ${maxBodyBytes} bytes`);
  }
  if (route === 'GET /backend-api/wham/accounts/check') {
    return json(200, workspaces(request.headers['chatgpt-account-id']));
  }
  const parsed: unknown = JSON.parse(body);
  if (route === 'POST /v1/messages/count_tokens') {
    return json(200, { input_tokens: countTokens(parsed) });
  }
  return (
    (route === 'POST /v1/responses' ? responses(parsed, script) : messages(parsed, script)) ??
    fault(400, 'invalid_request_error', 'a field is missing')
  );
}

/** Codex 0.169.0 asks this with a login: its account must be there once, with both constraints, or it does not begin. */
function workspaces(account: string | string[] | undefined): Readonly<Record<string, unknown>> {
  const id = typeof account === 'string' ? account : 'account-stand-in';
  const free = 'NO_CONSTRAINT';
  const entry = { id, name: null, structure: 'personal', plan_type: 'plus', workspace_backend_origin: free };
  return { accounts: [{ ...entry, account_routing_override: free }], default_account_id: id, account_ordering: [id] };
}

function messages(body: unknown, script: Script): Answer | undefined {
  const reply = answerMessages(body, script);
  return reply && (field(body, 'stream') === true ? stream(messageEvents(reply)) : json(200, messageJson(reply)));
}

function responses(body: unknown, script: Script): Answer | undefined {
  const reply = answerResponses(body, script);
  return reply && (field(body, 'stream') === true ? stream(responseEvents(reply)) : json(200, responseJson(reply)));
}

/** `undefined` when it is too long; the rest is read and dropped, so that the client hears the answer. */
async function readBody(request: IncomingMessage): Promise<string | undefined> {
  const pieces: Buffer[] = [];
  let size = 0;
  for await (const piece of request) {
    const bytes = Buffer.from(piece);
    size += bytes.length;
    if (size <= maxBodyBytes) {
      pieces.push(bytes);
    }
  }
  return size > maxBodyBytes ? undefined : Buffer.concat(pieces).toString('utf8');
}

function stream(parts: readonly string[]): Answer {
  return { status: 200, type: 'text/event-stream', parts };
}

function json(status: number, body: unknown): Answer {
  return { status, type: 'application/json', parts: [JSON.stringify(body)] };
}

function fault(status: number, type: string, message: string): Answer {
  return json(status, { type: 'error', error: { type, message }, request_id: 'req_standin' });
}
