import { connect } from 'node:http2';
import { connect as tlsConnect } from 'node:tls';

/** One request over an HTTP/2 session of its own. */
export interface Http2Answer {
  readonly status: number;
  readonly text: string;
  /** 0: it ended as it should; `undefined` where the session broke */
  readonly code: number | undefined;
}

export interface Http2Options {
  readonly host: string;
  readonly ca: string;
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export async function http2Get(port: number, { host, ca, path = '/', headers = {} }: Http2Options): Promise<Http2Answer> {
  const session = connect(`https://${host}`, {
    createConnection: () => tlsConnect({ host: '127.0.0.1', port, servername: host, ca, ALPNProtocols: ['h2'] }),
  });
  session.on('error', () => undefined);
  const stream = session.request({ ':path': path, ...headers });
  let status = 0;
  let text = '';
  stream.on('response', (head) => (status = Number(head[':status'])));
  stream.on('data', (piece: Buffer) => (text += piece.toString('latin1')));
  stream.on('error', () => undefined);
  await new Promise<void>((resolve) => stream.once('close', () => resolve()));
  const { rstCode } = stream;
  session.destroy();
  return { status, text, code: rstCode };
}
