import { connect, type ClientHttp2Session, type OutgoingHttpHeaders } from 'node:http2';
import { setTimeout as sleep } from 'node:timers/promises';

import type { Caller, TlsPlace } from './caller.ts';

/** HTTP/2 as a program inside a sandbox speaks it, over one connection. */
export interface Http2Caller {
  /** Status of the answer; `reset` where the stream or the session broke, `quiet` where nothing came. */
  readonly ask: (headers: OutgoingHttpHeaders, body?: string) => Promise<string>;
  readonly close: () => void;
}

const patienceMs = 2000;

export async function http2In(caller: Caller, place: TlsPlace): Promise<Http2Caller> {
  const socket = await caller.openTls({ ...place, protocols: ['h2'] });
  const session = connect(`https://${place.host}`, { createConnection: () => socket });
  session.on('error', () => undefined);
  return {
    ask: async (headers, body) => await Promise.race([answerTo(session, headers, body), sleep(patienceMs, 'quiet')]),
    close: () => session.destroy(),
  };
}

async function answerTo(session: ClientHttp2Session, headers: OutgoingHttpHeaders, body: string | undefined): Promise<string> {
  try {
    const stream = session.request(headers, { endStream: body === undefined });
    stream.resume();
    if (body !== undefined) {
      stream.end(body);
    }
    const { promise, resolve } = Promise.withResolvers<string>();
    stream.once('response', (answer) => resolve(String(answer[':status'])));
    stream.once('error', () => resolve('reset'));
    return await promise;
  } catch {
    return 'reset';
  }
}
