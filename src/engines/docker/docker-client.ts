import { request, type IncomingMessage, type RequestOptions } from 'node:http';
import type { Duplex, Readable } from 'node:stream';

import { CasemateError } from '../../base/errors.ts';
import { gathered } from '../../base/gather.ts';
import { visible } from '../../base/text.ts';
import { dial } from './place/dial.ts';
import { addressOf, type Endpoint } from './place/endpoint.ts';

/**
 * The part of the Docker Engine API (docs.docker.com/reference/api/engine) that this engine needs, over a connection to the
 * engine. Paths are built from fixed words and encoded values; the engine's answers are data of bounded size.
 */

/** Debian 12's, and what Podman offers; newer engines still speak it. */
export const apiVersion = '1.41';

/** Podman's own calls have numbers of their own. */
const podmanVersion = '4.0.0';

const greatestAnswer = 16 * 1024 * 1024;
const timeoutMs = 60_000;

export interface DockerClient {
  /** where the engine is; throws where that cannot be told */
  readonly endpoint: () => Promise<Endpoint>;
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

export interface ClientOptions {
  /** whole environment of `ssh` */
  readonly env?: Readonly<Record<string, string>> | undefined;
}

/** `where`: path of a socket, or what says where the engine is when it is needed. */
export function dockerClient(where: string | (() => Promise<Endpoint>), { env = {} }: ClientOptions = {}): DockerClient {
  const endpoint = typeof where === 'string' ? async () => ({ kind: 'unix', path: where }) as const : where;
  const reach = async (signal: AbortSignal | undefined): Promise<Way> => way(await endpoint(), env, signal);
  const call = async (method: Method, path: string, options: CallOptions = {}): Promise<Answer> =>
    exchange(await reach(options.signal), method, path, options);
  return {
    endpoint,
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
    follow: async (path, options) => stream(await reach(options.signal), 'GET', path, options),
    hijack: async (path, body, options = {}) => upgrade(await reach(options.signal), path, body, options),
    stream: async (method, path, options = {}) => stream(await reach(options.signal), method, path, options),
  };
}

/** How one request gets there, and what the place is called. */
interface Way {
  readonly address: string;
  readonly connection: RequestOptions;
}

async function way(endpoint: Endpoint, env: Readonly<Record<string, string>>, signal: AbortSignal | undefined): Promise<Way> {
  const address = addressOf(endpoint);
  if (endpoint.kind === 'unix') {
    return { address, connection: { socketPath: endpoint.path, agent: false } };
  }
  const limit = AbortSignal.timeout(timeoutMs);
  try {
    const made = await dial(endpoint, { env, signal: signal === undefined ? limit : AbortSignal.any([signal, limit]) });
    // Of one that fails before it is used, too.
    made.on('error', () => undefined);
    return { address, connection: { createConnection: () => made } };
  } catch (error) {
    throw signal?.aborted === true ? signal.reason : unreachable(address, error);
  }
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

async function exchange({ address, connection }: Way, method: Method, path: string, options: CallOptions): Promise<Answer> {
  const { query, body, upload, signal, timeoutMs: limitMs = timeoutMs } = options;
  signal?.throwIfAborted();
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const text = body === undefined ? undefined : JSON.stringify(body);
  const json = text === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) };
  const headers = upload === undefined ? json : { 'content-type': 'application/x-tar' };
  const limit = AbortSignal.timeout(limitMs);
  const outgoing = request({
    ...connection,
    host: 'docker',
    method,
    path: target(path, query),
    headers,
    signal: signal === undefined ? limit : AbortSignal.any([signal, limit]),
  });
  outgoing.once('error', (error) => reject(signal?.aborted === true ? signal.reason : unreachable(address, error)));
  outgoing.once('response', (response) => {
    answerOf(response).then(resolve, (error: unknown) => reject(unreachable(address, error)));
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
  { address, connection }: Way,
  method: Method,
  path: string,
  { query, signal, upload }: StreamOptions & Pick<CallOptions, 'upload'>,
): Promise<Readable> {
  signal?.throwIfAborted();
  const { promise, resolve, reject } = Promise.withResolvers<Readable>();
  const headers = upload === undefined ? {} : { 'content-type': 'application/x-tar' };
  const outgoing = request({ ...connection, host: 'docker', method, path: target(path, query), headers, signal });
  outgoing.once('error', (error) => reject(signal?.aborted === true ? signal.reason : unreachable(address, error)));
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
      (error: unknown) => reject(unreachable(address, error)),
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
  const whole = await gathered(response, greatestAnswer);
  if (whole === undefined) {
    throw new Error('its answer is too long');
  }
  return { status: response.statusCode ?? 0, body: parsed(whole.toString('utf8')) };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

async function upgrade(
  { address, connection }: Way,
  path: string,
  body: object,
  { signal, query }: StreamOptions,
): Promise<Duplex> {
  signal?.throwIfAborted();
  const { promise, resolve, reject } = Promise.withResolvers<Duplex>();
  const text = JSON.stringify(body);
  const outgoing = request({
    ...connection,
    host: 'docker',
    method: 'POST',
    path: target(path, query),
    headers: {
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(text),
      connection: 'Upgrade',
      upgrade: 'tcp',
    },
    signal,
  });
  outgoing.once('error', (error) => reject(signal?.aborted === true ? signal.reason : unreachable(address, error)));
  outgoing.once('upgrade', (_response, made, head) => {
    made.unshift(head);
    resolve(made);
  });
  outgoing.once('response', (response) => {
    answerOf(response).then(
      (answer) => reject(new CasemateError('ENGINE_FAILED', `the engine refused a command: ${messageOf(answer.body)}`)),
      (error: unknown) => reject(unreachable(address, error)),
    );
  });
  outgoing.end(text);
  return promise;
}

function unreachable(address: string, cause: unknown): CasemateError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new CasemateError('ENGINE_FAILED', `cannot talk to the engine at ${visible(address)}: ${visible(why)}`, {
    cause,
    hint: 'Start its service, say where it is (DOCKER_HOST, CONTAINER_HOST), or use another: casemate doctor lists the engines.',
  });
}
