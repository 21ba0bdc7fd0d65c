import { STATUS_CODES, ServerResponse, type IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';

import type { Exchange } from '../exchange.ts';
import { fieldsOf, flat, pairs, valuesOf, type Field } from '../http/fields.ts';

/** A request of Node's HTTP/1.1 server as an `Exchange`. */
export function http1Exchange(
  request: IncomingMessage,
  response: ServerResponse,
  options: { readonly expectsContinue: boolean },
): Exchange {
  const fields = fieldsOf(request.rawHeaders);
  const gone = new AbortController();
  // The socket's own end: a response that waits behind another one is not told of it.
  const leave = (): void => gone.abort();
  request.socket.once('close', leave);
  response.once('finish', () => request.socket.off('close', leave));
  // Faults of the caller's connection end the exchange through `close`; they must not end the process.
  request.on('error', () => undefined);
  response.on('error', () => undefined);
  return {
    version: versionOf(request),
    method: request.method ?? '',
    target: request.url ?? '',
    authorities: valuesOf(fields, 'host'),
    fields,
    body: hasContent(request) ? request : undefined,
    isWhole: () => request.complete,
    trailers: () => fieldsOf(request.rawTrailers),
    expectsContinue: options.expectsContinue,
    signal: gone.signal,
    sendContinue: () => response.writeContinue(),
    respond(status, answer) {
      response.writeHead(status, phraseFor(status, answer), flat(answer));
      // Head and first content in one packet where both are there; the head alone where content is not. The socket and not
      // the response: Node 24 writes the end of a corked response before the chunks it holds, which then follow as an answer of their own.
      const { socket } = request;
      socket.cork();
      setImmediate(() => {
        response.flushHeaders();
        socket.uncork();
      });
      return response;
    },
    // As pairs, so that a field may be there twice. Node leaves them out where the answer is not chunked.
    sendTrailers: (behind) => response.addTrailers(pairs(behind)),
    hasResponded: () => response.headersSent,
    cut: () => void request.socket.destroy(),
  };
}

/** Node's parser lets 0.9 and 2.0 through as well. */
function versionOf({ httpVersion }: IncomingMessage): Exchange['version'] {
  return httpVersion === '1.0' || httpVersion === '1.1' ? httpVersion : 'other';
}

/** pip, wget and apt show of a denial the words behind the number and nothing else. */
function phraseFor(status: number, answer: readonly Field[]): string {
  const [code] = valuesOf(answer, 'x-casemate-denied');
  const usual = STATUS_CODES[status] ?? '';
  return code === undefined ? usual : `${usual} (casemate: ${code})`;
}

function hasContent({ headers }: IncomingMessage): boolean {
  const length = headers['content-length'];
  return headers['transfer-encoding'] !== undefined || (length !== undefined && length !== '0');
}

/** An exchange whose socket Node's server has let go of: `CONNECT` and upgrades. */
export function detachedExchange(request: IncomingMessage, socket: Duplex): Exchange {
  const response = new ServerResponse(request);
  response.shouldKeepAlive = false;
  response.assignSocket(request.socket);
  // Nobody reads this socket any more, so an end of the caller's behind further bytes would never be seen.
  response.once('finish', () => {
    socket.end();
    setTimeout(() => socket.destroy(), 500).unref();
  });
  socket.on('error', () => undefined);
  return { ...http1Exchange(request, response, { expectsContinue: false }), body: undefined, cut: () => void socket.destroy() };
}
