import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js';
import {
  isJSONRPCErrorResponse,
  isJSONRPCRequest,
  isJSONRPCResultResponse,
  type JSONRPCMessage,
  type RequestId,
} from '@modelcontextprotocol/sdk/types.js';

/** The requests of one connection that are not answered yet, by their ids. The caller chooses these, and none may be there twice. */
export interface RequestIds {
  /** `false`, and nothing is kept: one of them is open, or here twice. Over such a one the library loses what it would have to end. */
  readonly reserve: (ids: readonly RequestId[]) => boolean;
  /** The message they came in has come to its end: those that never became requests are free again. */
  readonly release: (ids: readonly RequestId[]) => void;
}

/** as servers of languages say it, whose protocol this one's words come from */
const requestCancelled = -32_800;

/**
 * To a request that its caller cancelled the library answers nothing, and its transport over HTTP holds the stream, the id and
 * the other answers of its batch until there is an answer: for ever. So it is answered here. To be called when the transport
 * is connected.
 */
export function watchRequests(transport: Transport): RequestIds {
  const take = transport.onmessage;
  const send = transport.send.bind(transport);
  const open = new Map<RequestId, 'reserved' | 'taken'>();
  transport.send = async (message, options) => {
    if ((isJSONRPCResultResponse(message) || isJSONRPCErrorResponse(message)) && message.id !== undefined) {
      open.delete(message.id);
    }
    await send(message, options);
  };
  // oxlint-disable-next-line unicorn/prefer-add-event-listener -- the only way the SDK has
  transport.onmessage = (message, extra) => {
    if (isJSONRPCRequest(message)) {
      open.set(message.id, 'taken');
    }
    take?.(message, extra);
    const id = cancelledBy(message);
    if (id !== undefined && open.get(id) === 'taken') {
      open.delete(id);
      const error = { code: requestCancelled, message: 'it was cancelled' };
      // Who hung up hears nothing.
      void send({ jsonrpc: '2.0', id, error }).catch(() => undefined);
    }
  };
  return {
    reserve(ids) {
      if (new Set(ids).size < ids.length || ids.some((id) => open.has(id))) {
        return false;
      }
      ids.forEach((id) => open.set(id, 'reserved'));
      return true;
    },
    release: (ids) => ids.filter((id) => open.get(id) === 'reserved').forEach((id) => open.delete(id)),
  };
}

/** Of the requests in a message, or in a batch of them. */
export function requestIdsIn(value: unknown): readonly RequestId[] {
  return (Array.isArray(value) ? value : [value]).filter((message) => isJSONRPCRequest(message)).map(({ id }) => id);
}

function cancelledBy(message: JSONRPCMessage): RequestId | undefined {
  if (!('method' in message) || message.method !== 'notifications/cancelled') {
    return undefined;
  }
  const id = message.params?.['requestId'];
  return typeof id === 'string' || typeof id === 'number' ? id : undefined;
}
