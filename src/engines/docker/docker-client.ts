import { request, type IncomingMessage } from 'node:http';
import type { Duplex, Readable } from 'node:stream';

import { CasemateError } from '../../base/errors.ts';
import { visible } from '../../base/text.ts';

/**
 * The Docker Engine API (docs.docker.com/reference/api/engine) over the engine's Unix socket, as far as this engine needs it.
 * Paths are put together from fixed words and encoded values; what the engine answers is data, of a bounded size.
 */

/** Debian 12's, and what Podman offers; newer engines still speak it. */
export const apiVersion = '1.41';

/** Podman's own calls have numbers of their own. */
const podmanVersion = '4.0.0';

const greatestAnswer = 16 * 1024 * 1024;
const timeoutMs = 60_000;

export interface DockerClient {
  /** absolute path of the engine's socket; throws where none can be told */
  readonly socket: () => string;
  readonly call: (method: Method, path: string, options?: CallOptions) => Promise<Answer>;
  /** `call`, where nothing but success will do. Throws `ENGINE_FAILED` with what the engine said. */
  readonly must: (method: Method, path: string, options?: CallOptions) => Promise<unknown>;
  /** What the engine says for as long as it is listened to; ends with the signal. Throws `ENGINE_FAILED` where it does not begin. */
  readonly follow: (path: string, options: FollowOptions) => Promise<Readable>;
  /** The connection itself, both ways, once the engine has agreed. */
  readonly hijack: (path: string, body: object, options?: StreamOptions) => Promise<Duplex>;
  /** An answer as it comes, of any length and for as long as it takes. Throws `ENGINE_FAILED` where it is no success. */
  readonly stream: (method: Method, path: string, options?: StreamOptions & Pick<CallOptions, 'upload'>) => Promise<Readable>;
}

export type Method = 'GET' | 'POST' | 'DELETE';

export type StreamOptions = Pick<CallOptions, 'query' | 'signal'>;

export interface CallOptions {
  readonly query?: Readonly<Record<string, string | number | boolean>> | undefined;
  readonly body?: object | undefined;
  /** sent as it is, in place of a body */
  readonly upload?: Readable | undefined;
  readonly timeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface FollowOptions {
  readonly query: NonNullable<CallOptions['query']>;
  readonly signal: AbortSignal;
}

export interface Answer {
  readonly status: number;
  /** parsed; a text where it is no JSON document */
  readonly body: unknown;
}

/** One step of a path: a name or an id, whatever is in it. */
export function segment(text: string): string {
  return encodeURIComponent(text);
}

export function dockerClient(where: string | (() => string)): DockerClient {
  const socket = typeof where === 'string' ? () => where : where;
  const call = async (method: Method, path: string, options: CallOptions = {}): Promise<Answer> =>
    exchange(socket(), method, path, options);
  return {
    socket,
    call,
    async must(method, path, options) {
      const { status, body } = await call(method, path, options);
      if (status < 200 || status > 299) {
        throw new CasemateError(
          'ENGINE_FAILED',
          `the engine refused ${method} ${path.replace(/[0-9a-f]{64}/, '…')}: ${messageOf(body)}`,
        );
      }
      return body;
    },
    follow: async (path, options) => stream(socket(), 'GET', path, options),
    hijack: async (path, body, options = {}) => upgrade(socket(), path, body, options),
    stream: async (method, path, options = {}) => stream(socket(), method, path, options),
  };
}

/** What went wrong, in the engine's words. */
export function messageOf(body: unknown): string {
  const message: unknown = typeof body === 'object' && body !== null && 'message' in body ? body.message : body;
  return visible(typeof message === 'string' && message !== '' ? message : 'no reason given').slice(0, 500);
}

function target(path: string, query: CallOptions['query'] = {}): string {
  const fields = Object.entries(query).map(([name, value]) => `${name}=${encodeURIComponent(value)}`);
  return `/v${path.startsWith('/libpod/') ? podmanVersion : apiVersion}${path}${fields.length === 0 ? '' : `?${fields.join('&')}`}`;
}

async function exchange(socketPath: string, method: Method, path: string, options: CallOptions): Promise<Answer> {
  const { query, body, upload, signal, timeoutMs: limitMs = timeoutMs } = options;
  signal?.throwIfAborted();
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const text = body === undefined ? undefined : JSON.stringify(body);
  const json = text === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) };
  const headers = upload === undefined ? json : { 'content-type': 'application/x-tar' };
  const limit = AbortSignal.timeout(limitMs);
  const outgoing = request({
    socketPath,
    host: 'docker',
    method,
    path: target(path, query),
    headers,
    agent: false,
    signal: signal === undefined ? limit : AbortSignal.any([signal, limit]),
  });
  outgoing.once('error', (error) => reject(signal?.aborted === true ? signal.reason : unreachable(socketPath, error)));
  outgoing.once('response', (response) => {
    answerOf(response).then(resolve, (error: unknown) => reject(unreachable(socketPath, error)));
  });
  if (upload === undefined) {
    outgoing.end(text);
  } else {
    upload.once('error', (error) => outgoing.destroy(error));
    upload.pipe(outgoing);
  }
  return promise;
}

async function stream(
  socketPath: string,
  method: Method,
  path: string,
  { query, signal, upload }: StreamOptions & Pick<CallOptions, 'upload'>,
): Promise<Readable> {
  signal?.throwIfAborted();
  const { promise, resolve, reject } = Promise.withResolvers<Readable>();
  const headers = upload === undefined ? {} : { 'content-type': 'application/x-tar' };
  const outgoing = request({ socketPath, host: 'docker', method, path: target(path, query), headers, agent: false, signal });
  outgoing.once('error', (error) => reject(signal?.aborted === true ? signal.reason : unreachable(socketPath, error)));
  outgoing.once('response', (response) => {
    // Whoever asked may be gone by the time it ends badly.
    response.on('error', () => undefined);
    const { statusCode = 0 } = response;
    if (statusCode >= 200 && statusCode <= 299) {
      resolve(response);
      return;
    }
    answerOf(response).then(
      ({ body }) =>
        reject(
          new CasemateError(
            'ENGINE_FAILED',
            `the engine refused ${method} ${path.replace(/[0-9a-f]{64}/, '…')}: ${messageOf(body)}`,
          ),
        ),
      (error: unknown) => reject(unreachable(socketPath, error)),
    );
  });
  if (upload === undefined) {
    outgoing.end();
  } else {
    upload.once('error', (error) => outgoing.destroy(error));
    upload.pipe(outgoing);
  }
  return promise;
}

async function answerOf(response: IncomingMessage): Promise<Answer> {
  const pieces: Buffer[] = [];
  let size = 0;
  for await (const piece of response) {
    const bytes = Buffer.from(piece);
    size += bytes.length;
    if (size > greatestAnswer) {
      throw new Error('its answer is too long');
    }
    pieces.push(bytes);
  }
  const text = Buffer.concat(pieces).toString('utf8');
  return { status: response.statusCode ?? 0, body: parsed(text) };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

async function upgrade(socketPath: string, path: string, body: object, { signal, query }: StreamOptions): Promise<Duplex> {
  signal?.throwIfAborted();
  const { promise, resolve, reject } = Promise.withResolvers<Duplex>();
  const text = JSON.stringify(body);
  const outgoing = request({
    socketPath,
    host: 'docker',
    method: 'POST',
    path: target(path, query),
    headers: {
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(text),
      connection: 'Upgrade',
      upgrade: 'tcp',
    },
    agent: false,
    signal,
  });
  outgoing.once('error', (error) => reject(signal?.aborted === true ? signal.reason : unreachable(socketPath, error)));
  outgoing.once('upgrade', (_response, connection, head) => {
    connection.unshift(head);
    resolve(connection);
  });
  outgoing.once('response', (response) => {
    answerOf(response).then(
      (answer) => reject(new CasemateError('ENGINE_FAILED', `the engine refused a command: ${messageOf(answer.body)}`)),
      (error: unknown) => reject(unreachable(socketPath, error)),
    );
  });
  outgoing.end(text);
  return promise;
}

function unreachable(socket: string, cause: unknown): CasemateError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new CasemateError('ENGINE_FAILED', `cannot talk to the engine at ${visible(socket)}: ${visible(why)}`, {
    cause,
    hint: 'Start its service, say where it is (DOCKER_HOST, CONTAINER_HOST), or use another: casemate doctor lists the engines.',
  });
}
