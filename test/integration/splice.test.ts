import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer, Socket, type AddressInfo, type Server } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { TLSSocket } from 'node:tls';

import { afterEach, describe, expect, it } from 'vitest';

import { peek } from '../../src/gateway/tls/peek.ts';
import { splice, spliceStreams } from '../../src/gateway/upstream/splice.ts';
import type { Spliced } from '../../src/gateway/upstream/spliced.ts';
import { dialOnHost } from '../../src/gateway/upstream/dial.ts';
import { find, nodeTcp } from '../../src/gateway/upstream/node-tcp.ts';
import { sideOf } from '../../src/gateway/upstream/raw-splice.ts';
import { connectWire, type Wire } from '../../src/gateway/upstream/wire.ts';

const ends: (() => void)[] = [];
afterEach(() => ends.splice(0).forEach((end) => end()));

/** How the upstream is reached, and what relays: a connection below the streams, one of Node, and streams on both sides. */
const ways = ['a wire', 'a socket', 'streams'] as const;
type WayName = (typeof ways)[number];

/** Relays each caller of a port to an upstream that does `serve`. */
async function relayedBy(
  way: WayName,
  serve: (socket: Socket) => unknown,
  idleMs = 10_000,
): Promise<{ port: number; done: Promise<Spliced>; stop: AbortController }> {
  const upstream = await listening(serve);
  const stop = new AbortController();
  const done = Promise.withResolvers<Spliced>();
  const relay = await listening((inner) => {
    const outer = way === 'a wire' ? wireTo(upstream) : dialOnHost({ address: '127.0.0.1', port: upstream });
    // Late on purpose: an upstream that speaks first must not lose its first words.
    void connected(outer).then(() =>
      setTimeout(() => void relayWith(way)(inner, outer as Socket, { idleMs, signal: stop.signal }).then(done.resolve), 50),
    );
    // As a greeting of TLS is looked at; callers that say nothing are relayed all the same.
    void peek(inner, { maxBytes: 100, timeoutMs: 20, read: (bytes) => bytes.length });
  });
  return { port: relay, done: done.promise, stop };
}

const relayWith = (way: WayName): typeof splice => (way === 'streams' ? (spliceStreams as typeof splice) : splice);

function wireTo(port: number): Wire {
  const wire = connectWire('127.0.0.1', port);
  if (wire === undefined) {
    throw new Error('this Node has no connections below its streams');
  }
  ends.push(wire.destroy);
  return wire;
}

async function connected(outer: Socket | Wire): Promise<void> {
  if ('whenSettled' in outer) {
    const { promise, resolve } = Promise.withResolvers<boolean>();
    outer.whenSettled(resolve);
    expect(await promise).toBe(true);
  } else {
    await once(outer, 'connect');
  }
}

async function listening(serve: (socket: Socket) => void): Promise<number> {
  const server: Server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) => {
    socket.on('error', () => undefined);
    ends.push(() => socket.destroy());
    serve(socket);
  });
  ends.push(() => server.close());
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

async function all(socket: Socket): Promise<Buffer[]> {
  const pieces: Buffer[] = [];
  for await (const piece of socket as AsyncIterable<Buffer>) {
    pieces.push(piece);
  }
  return pieces;
}

function digest(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

describe.each(ways)('a connection relayed over %s', (way) => {
  const relayed = (serve: (socket: Socket) => unknown, idleMs?: number) => relayedBy(way, serve, idleMs);

  it('passes on every byte in order, however slowly they are read', async () => {
    const sent = randomBytes(24 * 1024 * 1024);
    const { port, done } = await relayed((socket) => socket.end(sent));
    const caller = connect({ host: '127.0.0.1', port });
    const got = createHash('sha256');
    let count = 0;
    for await (const piece of caller as AsyncIterable<Buffer>) {
      got.update(piece);
      count += piece.length;
      // Now and then the reader falls far behind, so that the buffer is held by a write.
      await (count % 7 === 0 ? sleep(5) : undefined);
    }
    expect(got.digest('hex')).toBe(digest(sent));
    expect(await done).toMatchObject({ bytesIn: sent.length, bytesOut: 0, outcome: 'ok' });
  });

  it('loses nothing of an upstream that speaks first', async () => {
    const { port } = await relayed((socket) => socket.write('SSH-2.0-first\r\n'));
    const caller = connect({ host: '127.0.0.1', port });
    ends.push(() => caller.destroy());
    const [words] = (await once(caller, 'data')) as [Buffer];
    expect(words.toString()).toBe('SSH-2.0-first\r\n');
  });

  it('keeps a greeting that is longer than the first buffer whole', async () => {
    const sent = randomBytes(300_000);
    const { port } = await relayed((socket) => socket.end(sent));
    const pieces = await all(connect({ host: '127.0.0.1', port }));
    expect(digest(Buffer.concat(pieces))).toBe(digest(sent));
  });

  it('lets one direction end by itself, and goes on with the other', async () => {
    const asked = Promise.withResolvers<string>();
    const { port, done } = await relayed((socket) => {
      const pieces: Buffer[] = [];
      socket.on('data', (piece) => pieces.push(piece));
      socket.once('end', () => {
        asked.resolve(Buffer.concat(pieces).toString());
        setTimeout(() => socket.end('answer behind the end'), 20);
      });
      socket.resume();
    });
    const caller = connect({ host: '127.0.0.1', port, allowHalfOpen: true });
    caller.end('all of the question');
    const pieces = await all(caller);
    expect(await asked.promise).toBe('all of the question');
    expect(Buffer.concat(pieces).toString()).toBe('answer behind the end');
    expect(await done).toMatchObject({ bytesOut: 19, bytesIn: 21, outcome: 'ok' });
  });

  it('reads no more of the upstream than fits where nobody reads on', async () => {
    let written = 0;
    const { port, stop, done } = await relayed((socket) => {
      const piece = Buffer.alloc(64 * 1024);
      const more = (): void => {
        do {
          written += piece.length;
        } while (socket.write(piece) && written < 512 * 1024 * 1024);
        socket.once('drain', more);
      };
      more();
    });
    const caller = connect({ host: '127.0.0.1', port });
    caller.on('error', () => undefined);
    caller.pause();
    await sleep(700);
    // What stands in the buffers of the kernel, on both ways.
    expect(written).toBeLessThan(64 * 1024 * 1024);
    stop.abort();
    expect((await done).outcome).toBe('cut');
  });

  it('is cut on both sides when the upstream breaks', async () => {
    const { port, done } = await relayed((socket) => {
      socket.write('half of');
      setTimeout(() => socket.resetAndDestroy(), 100);
    });
    const caller = connect({ host: '127.0.0.1', port });
    const fault = Promise.withResolvers<string>();
    caller.on('error', (error: NodeJS.ErrnoException) => fault.resolve(error.code ?? ''));
    caller.resume();
    expect(await fault.promise).toBe('ECONNRESET');
    expect((await done).outcome).toBe('cut');
  });

  it('passes on every byte of the caller in order, however slowly they are taken, what was looked at before first', async () => {
    const sent = randomBytes(16 * 1024 * 1024);
    const got = createHash('sha256');
    const { port, done } = await relayed(async (socket) => {
      let pieces = 0;
      for await (const piece of socket as AsyncIterable<Buffer>) {
        got.update(piece);
        pieces += 1;
        await (pieces % 50 === 0 ? sleep(5) : undefined);
      }
      socket.end();
    });
    const caller = connect({ host: '127.0.0.1', port });
    caller.end(sent);
    caller.resume();
    expect(await done).toMatchObject({ bytesOut: sent.length, bytesIn: 0, outcome: 'ok' });
    expect(got.digest('hex')).toBe(digest(sent));
  });

  it('reads no more of the caller than fits where the upstream does not read on', async () => {
    const { port, stop, done } = await relayed((socket) => void socket.pause());
    const caller = connect({ host: '127.0.0.1', port });
    caller.on('error', () => undefined);
    let written = 0;
    const more = (): void => {
      while (written < 512 * 1024 * 1024) {
        written += 65_536;
        if (!caller.write(Buffer.alloc(65_536))) {
          caller.once('drain', more);
          return;
        }
      }
    };
    more();
    await sleep(700);
    expect(written).toBeLessThan(64 * 1024 * 1024);
    stop.abort();
    expect((await done).outcome).toBe('cut');
  });

  it('ends when both sides have been silent for long enough, and not before', async () => {
    let lastMs = 0;
    const { port, done } = await relayed((socket) => {
      const timer = setInterval(() => {
        lastMs = performance.now();
        socket.write('x');
      }, 50);
      setTimeout(() => clearInterval(timer), 600);
      socket.once('close', () => clearInterval(timer));
    }, 300);
    const caller = connect({ host: '127.0.0.1', port });
    caller.on('error', () => undefined);
    let bytes = 0;
    caller.on('data', (piece: Buffer) => (bytes += piece.length));
    expect((await done).outcome).toBe('idle');
    // However busy the machine: so long after the last word, and each that was said before has come.
    expect(performance.now() - lastMs).toBeGreaterThanOrEqual(290);
    expect(bytes).toBeGreaterThan(0);
  });

  it('passes on the end of a caller that has ended before the relay began', async () => {
    const asked = Promise.withResolvers<string>();
    const { port, done } = await relayed(async (socket) => {
      const pieces = await all(socket);
      asked.resolve(Buffer.concat(pieces).toString());
      socket.end('late answer');
    });
    const caller = connect({ host: '127.0.0.1', port, allowHalfOpen: true });
    caller.end('short');
    expect(await asked.promise).toBe('short');
    expect(Buffer.concat(await all(caller)).toString()).toBe('late answer');
    expect((await done).outcome).toBe('ok');
  });
});

describe('what is below the streams of Node', () => {
  it('is there on this Node, for what was opened and what was accepted', async () => {
    expect(nodeTcp()).toBeDefined();
    const accepted = Promise.withResolvers<Socket>();
    const port = await listening(accepted.resolve);
    const socket = connect({ host: '127.0.0.1', port });
    ends.push(() => socket.destroy());
    await once(socket, 'connect');
    expect(sideOf(socket)).toBeDefined();
    expect(sideOf(await accepted.promise)).toBeDefined();
  });

  it('is not used where it is not what it was', () => {
    const throws = (): never => {
      throw new Error('no such module');
    };
    const parts = (name: string): object => Reflect.apply(Reflect.get(process, 'binding'), process, [name]);
    const without = (missing: string) => (name: string) => ({ ...parts(name), [missing]: undefined });
    const needed = ['TCP', 'TCPConnectWrap', 'constants', 'WriteWrap', 'ShutdownWrap', 'streamBaseState'];
    const numbers = ['kReadBytesOrError', 'kLastWriteWasAsync'];
    expect(find(parts)).toBeDefined();
    expect([...needed, ...numbers].map((missing) => find(without(missing)))).toEqual(Array(8).fill(undefined));
    expect([find(throws), find(() => undefined), find(() => ({ TCP: Socket }))]).toEqual([undefined, undefined, undefined]);
  });

  it('is left alone where another layer is above it', () => {
    const socket = new TLSSocket(new Socket());
    expect(sideOf(socket)).toBeUndefined();
    socket.destroy();
  });

  it('says that nobody is there', async () => {
    const port = await listening(() => undefined);
    ends.splice(0).forEach((end) => end());
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const wire = wireTo(port);
    wire.whenSettled(resolve);
    expect(await promise).toBe(false);
    wire.destroy();
    wire.destroy();
  });
});
