/** Process: the caller of the gateway's measurement. Gets tasks, answers each with its samples in milliseconds. */
import { once } from 'node:events';
import { request as httpRequest, Agent, type RequestOptions } from 'node:http';
import { connect as connectHttp2, type ClientHttp2Session } from 'node:http2';
import { connect, Socket } from 'node:net';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import type { Duplex, Readable, Writable } from 'node:stream';

import { serveTasks } from './child.ts';

export interface ClientData {
  readonly ca: readonly string[];
}

/** Where a connection is opened, and what it says there. */
export interface Target {
  readonly port: number;
  /** asked of a proxy by CONNECT, `host:port` */
  readonly through?: string | undefined;
  readonly host: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly folder: 'key' | 'any';
}

export interface Task {
  readonly target: Target;
  readonly kind: 'kept' | 'fresh' | 'fresh at once' | 'at once' | 'download' | 'upload' | 'first event';
  readonly version: '1.1' | '2';
  /** size of the answer, or of what is sent */
  readonly bytes: number;
  readonly requests: number;
}

const piece = Buffer.alloc(64 * 1024, 'x');
const atOnce = 16;
let trusted: string[] = [];
const agents = new Map<string, SecureAgent>();
const sessions = new Map<string, ClientHttp2Session>();

serveTasks(async ({ ca }: ClientData) => {
  trusted = [...ca];
  return { ready: 0, work: run };
});

async function open(target: Target, alpn: string): Promise<TLSSocket> {
  const socket = connect({ host: '127.0.0.1', port: target.port, noDelay: true });
  await once(socket, 'connect');
  if (target.through !== undefined) {
    await askProxy(socket, target.through);
  }
  const secure = connectTls({ socket, servername: target.host, ca: trusted, ALPNProtocols: [alpn] });
  await once(secure, 'secureConnect');
  return secure;
}

async function askProxy(socket: Socket, through: string): Promise<void> {
  socket.write(`CONNECT ${through} HTTP/1.1\r\nHost: ${through}\r\n\r\n`);
  const [answer] = (await once(socket, 'data')) as [Buffer];
  socket.pause();
  if (!answer.toString('latin1').startsWith('HTTP/1.1 200')) {
    throw new Error(`the proxy answered ${answer.toString('latin1').split('\r\n')[0]}`);
  }
}

class SecureAgent extends Agent {
  readonly target: Target;

  constructor(target: Target) {
    super({ keepAlive: true, maxSockets: atOnce, scheduling: 'lifo' });
    this.target = target;
  }

  override createConnection(_options: unknown, done?: (error: Error | null, stream: Duplex) => void): undefined {
    const failed = new Socket();
    open(this.target, 'http/1.1').then(
      (socket) => done?.(null, socket),
      (error: Error) => done?.(error, failed),
    );
  }
}

interface Call {
  readonly answer: Promise<void>;
  /** resolves with the first piece of content */
  readonly first: Promise<void>;
}

function finish(stream: Readable, status: number): Call {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  // Whoever waits for only one of both must not be ended by the other.
  promise.catch(() => undefined);
  const first = once(stream, 'data').then(() => undefined);
  first.catch(() => undefined);
  stream.once('end', () => (status === 200 ? resolve() : reject(new Error(`status ${status}`))));
  stream.once('error', reject);
  return { answer: promise, first };
}

function pour(sink: Writable, bytes: number): void {
  let left = bytes;
  const more = (): void => {
    while (left > 0) {
      const part = left < piece.length ? piece.subarray(0, left) : piece;
      left -= part.length;
      if (!sink.write(part)) {
        sink.once('drain', more);
        return;
      }
    }
    sink.end();
  };
  more();
}

async function call(task: Task, agent: Agent): Promise<Call> {
  const { target, kind, bytes } = task;
  const path = `/${target.folder}/${kind === 'first event' ? 'events' : bytes}`;
  if (task.version === '2') {
    return callHttp2(task, path);
  }
  const upload = kind === 'upload' ? { 'content-length': String(bytes) } : {};
  const headers = { host: target.host, ...target.headers, ...upload };
  const options: RequestOptions = { agent, method: kind === 'upload' ? 'POST' : 'GET', path, headers };
  const { promise, resolve, reject } = Promise.withResolvers<Call>();
  const sent = httpRequest(options, (response) => resolve(finish(response, response.statusCode ?? 0)));
  sent.once('error', reject);
  pour(sent, kind === 'upload' ? bytes : 0);
  return promise;
}

async function callHttp2({ target, kind, bytes }: Task, path: string): Promise<Call> {
  const session = await sessionTo(target);
  const method = kind === 'upload' ? 'POST' : 'GET';
  const stream = session.request({ ':path': path, ':method': method, ...target.headers }, { endStream: kind !== 'upload' });
  if (kind === 'upload') {
    pour(stream, bytes);
  }
  const [headers] = (await once(stream, 'response')) as [{ ':status'?: number }];
  return finish(stream, headers[':status'] ?? 0);
}

async function sessionTo(target: Target): Promise<ClientHttp2Session> {
  const key = JSON.stringify(target);
  const known = sessions.get(key);
  if (known !== undefined && !known.destroyed) {
    return known;
  }
  const socket = await open(target, 'h2');
  const session = connectHttp2(`https://${target.host}`, {
    createConnection: () => socket,
    settings: { initialWindowSize: 4 * 1024 * 1024 },
  });
  sessions.set(key, session);
  session.on('error', () => sessions.delete(key));
  await once(session, 'connect');
  session.setLocalWindowSize(16 * 1024 * 1024);
  return session;
}

async function run(task: Task): Promise<number[]> {
  const key = JSON.stringify(task.target);
  const agent = agents.get(key) ?? new SecureAgent(task.target);
  agents.set(key, agent);
  if (task.kind === 'at once' || task.kind === 'fresh at once') {
    return [await timed(() => severalAtOnce(task, agent))];
  }
  const samples: number[] = [];
  for (let index = 0; index < task.requests; index += 1) {
    samples.push(await timed(() => once1(task, agent)));
  }
  return samples;
}

async function once1(task: Task, agent: Agent): Promise<void> {
  if (task.kind !== 'fresh' && task.kind !== 'fresh at once') {
    const { answer, first } = await call(task, agent);
    await (task.kind === 'first event' ? first : answer);
    return;
  }
  const own = new SecureAgent(task.target);
  await (
    await call(task, own)
  ).answer;
  own.destroy();
}

async function severalAtOnce(task: Task, agent: Agent): Promise<void> {
  let left = task.requests;
  const worker = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      await once1(task, agent);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
}

async function timed(work: () => Promise<void>): Promise<number> {
  const started = performance.now();
  await work();
  return performance.now() - started;
}
