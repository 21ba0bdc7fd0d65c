import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createSecureServer, type Http2ServerRequest, type Http2ServerResponse } from 'node:http2';
import { createServer as createHttpsServer } from 'node:https';

import { listen, type Lab } from './gateway-lab.ts';

/** An upstream that writes down every request it gets, in clear or over TLS, HTTP/1.1 and HTTP/2. */
export interface Seen {
  readonly host: string;
  readonly method: string;
  readonly url: string;
  readonly version: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  body: string;
  /** there when the content has ended */
  trailers: Readonly<Record<string, string | string[] | undefined>>;
}

export interface Sink {
  readonly seen: Seen[];
  readonly port: number;
  /** connections accepted, whether or not a request came */
  readonly connections: () => number;
  readonly close: () => void;
}

export type Respond = (
  request: IncomingMessage | Http2ServerRequest,
  response: ServerResponse & Http2ServerResponse,
  seen: Seen,
) => void | Promise<void>;

const plainAnswer: Respond = (_request, response, seen) => void response.end(`hello from ${seen.host} ${seen.url}\n`);

export interface SinkOptions {
  readonly respond?: Respond;
  /** certificate for another name than `host` */
  readonly certificateFor?: string;
  readonly plain?: boolean;
  /** TLS that offers HTTP/1.1 alone */
  readonly onlyHttp1?: boolean;
}

/** Starts one and makes `host:port` lead to it. */
export async function sinkAt(lab: Lab, host: string, port: number, options: SinkOptions = {}): Promise<Sink> {
  const seen: Seen[] = [];
  let connections = 0;
  const take = (request: IncomingMessage | Http2ServerRequest, response: ServerResponse | Http2ServerResponse): void => {
    const row: Seen = {
      host,
      method: request.method ?? '',
      url: request.url ?? '',
      version: request.httpVersion,
      headers: request.headers,
      body: '',
      trailers: {},
    };
    seen.push(row);
    request.on('data', (piece: Buffer) => (row.body += piece.toString('latin1')));
    request.on('error', () => undefined);
    request.once('end', () => (row.trailers = request.trailers));
    const answer = (): void =>
      void (options.respond ?? plainAnswer)(request, response as ServerResponse & Http2ServerResponse, row);
    if (options.respond === undefined) {
      request.on('end', answer);
    } else {
      answer();
    }
  };
  const certificate = {
    key: lab.upstreamLeaves.privateKeyPem,
    cert: await lab.upstreamLeaves.sign(options.certificateFor ?? host),
  };
  const server =
    options.plain === true
      ? createHttpServer(take)
      : options.onlyHttp1 === true
        ? createHttpsServer(certificate, take)
        : createSecureServer({ ...certificate, allowHTTP1: true }, take);
  server.on('connection', () => (connections += 1));
  const target = await listen(server);
  lab.route(host, port, target);
  return { seen, port: target, connections: () => connections, close: () => void server.close() };
}
