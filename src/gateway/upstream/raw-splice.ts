import type { Socket } from 'node:net';

import { handleOf, nodeTcp, type StreamHandle } from './node-tcp.ts';
import { Flow, type FlowEvents } from './raw-flow.ts';
import { reset } from './reset.ts';
import type { Spliced, SpliceOptions } from './spliced.ts';
import type { Wire } from './wire.ts';

/** One end of a relay, below the level of Node's streams. */
export interface Side {
  readonly handle: StreamHandle;
  /** what a stream has read of it already */
  readonly takeEarly: () => Buffer | undefined;
  /** tells when somebody else has closed it */
  readonly onClose: (closed: () => void) => void;
  readonly close: () => void;
  readonly reset: () => void;
}

/** `undefined`: it can only be used as a stream. */
export function sideOf(end: Socket | Wire): Side | undefined {
  return 'whenSettled' in end ? sideOfWire(end) : sideOfSocket(end);
}

function sideOfWire({ handle, destroy, reset: resetWire }: Wire): Side {
  return {
    handle,
    takeEarly: () => undefined,
    onClose: () => undefined,
    close: destroy,
    reset: resetWire,
  };
}

function sideOfSocket(socket: Socket): Side | undefined {
  const handle = handleOf(socket);
  if (handle === undefined || socket.connecting || nodeTcp() === undefined) {
    return undefined;
  }
  // Its stream reads nothing any more: an end that it has seen must not end the other direction, nor its silence the relay.
  socket.allowHalfOpen = true;
  socket.setTimeout(0);
  return {
    handle,
    takeEarly() {
      const pieces: Buffer[] = [];
      for (let piece: unknown = socket.read(); Buffer.isBuffer(piece); piece = socket.read()) {
        pieces.push(piece);
      }
      return pieces.length > 1 ? Buffer.concat(pieces) : pieces[0];
    },
    onClose: (closed) => void socket.once('close', closed),
    close: () => void socket.destroy(),
    reset: () => reset(socket),
  };
}

/** Like `splice`, of which it is the usual way. */
export function spliceRaw(inner: Side, outer: Side, { idleMs, signal }: SpliceOptions): Promise<Spliced> {
  const tcp = nodeTcp();
  if (tcp === undefined) {
    throw new TypeError('this Node has no connections below its streams');
  }
  const { promise, resolve } = Promise.withResolvers<Spliced>();
  let isOver = false;
  let open = 2;
  const watch = idleWatch({
    idleMs,
    waiting: () => inner.handle.writeQueueSize + outer.handle.writeQueueSize,
    idle: () => finish('idle'),
  });
  const finish = (outcome: Spliced['outcome']): void => {
    if (isOver) {
      return;
    }
    isOver = true;
    watch.end();
    signal.removeEventListener('abort', cut);
    if (outcome === 'ok') {
      inner.close();
      outer.close();
    } else {
      inner.reset();
      outer.reset();
    }
    outward.leave();
    inward.leave();
    resolve({ bytesOut: outward.bytes, bytesIn: inward.bytes, outcome });
  };
  const cut = (): void => finish('cut');
  const on: FlowEvents = {
    moved: watch.moved,
    broken: cut,
    ended() {
      open -= 1;
      if (open === 0) {
        finish('ok');
      }
    },
    isOver: () => isOver,
  };
  const outward = new Flow(inner.handle, outer.handle, { tcp, on });
  const inward = new Flow(outer.handle, inner.handle, { tcp, on });
  signal.addEventListener('abort', cut, { once: true });
  inner.onClose(() => finish('ok'));
  outer.onClose(() => finish('ok'));
  outward.begin(inner.takeEarly());
  inward.begin(outer.takeEarly());
  return promise;
}

/** So often within the time of silence it is looked whether anything has moved. */
const looks = 4;

interface IdleWatch {
  readonly moved: () => void;
  readonly end: () => void;
}

interface IdleOptions {
  readonly idleMs: number;
  /** bytes that wait to be written: that they become fewer is movement, too */
  readonly waiting: () => number;
  readonly idle: () => void;
}

function idleWatch({ idleMs, waiting, idle }: IdleOptions): IdleWatch {
  let quiet = 0;
  let left = 0;
  const timer = setInterval(() => {
    const now = waiting();
    quiet = now === left ? quiet + 1 : 1;
    left = now;
    if (quiet > looks) {
      idle();
    }
  }, idleMs / looks);
  timer.unref();
  return {
    moved() {
      quiet = 0;
    },
    end: () => clearInterval(timer),
  };
}
