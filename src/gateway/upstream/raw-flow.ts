import { endOfFile, type NodeTcp, type StreamHandle, type WriteRequest } from './node-tcp.ts';
import { createRoom } from './read-room.ts';

export interface FlowEvents {
  /** Bytes have come, or have gone. */
  readonly moved: () => void;
  /** The end has been passed on. */
  readonly ended: () => void;
  readonly broken: () => void;
  /** Nothing is to be done any more. */
  readonly isOver: () => boolean;
}

export interface FlowParts {
  readonly tcp: NodeTcp;
  readonly on: FlowEvents;
}

/**
 * One direction of a relay, with back-pressure: while a write waits, nothing is read, for the buffer is the write's.
 * A class, for there are two of them in each connection.
 */
export class Flow {
  /** that have come and are with the kernel again, or wait there */
  bytes = 0;

  readonly #from: StreamHandle;
  readonly #to: StreamHandle;
  readonly #parts: FlowParts;
  readonly #room = createRoom();
  #isWaiting = false;
  #hasEnded = false;

  constructor(from: StreamHandle, to: StreamHandle, parts: FlowParts) {
    this.#from = from;
    this.#to = to;
    this.#parts = parts;
  }

  /** `early`: what was read of it before. */
  begin(early: Buffer | undefined): void {
    this.#from.useUserBuffer(this.#room.now());
    this.#from.onread = () => this.#read();
    if (early === undefined || this.#write(early)) {
      // An end that a stream has seen is told again.
      this.#from.readStart();
    } else if (!this.#parts.on.isOver()) {
      this.#from.readStop();
    }
  }

  /** Both ends are closed. */
  leave(): void {
    this.#room.leave(this.#isWaiting);
  }

  #read(): Uint8Array | undefined {
    const { tcp, on } = this.#parts;
    const count = tcp.readCount();
    if (on.isOver()) {
      return undefined;
    }
    if (count < 0) {
      if (count === endOfFile) {
        this.#end();
      } else {
        on.broken();
      }
      return undefined;
    }
    if (count > 0) {
      on.moved();
      const isOut = this.#write(this.#room.now().subarray(0, count));
      if (on.isOver()) {
        return undefined;
      }
      if (!isOut) {
        this.#from.readStop();
      }
      this.#room.learn(count, isOut);
    }
    return this.#room.now();
  }

  /** True: the bytes are with the kernel. */
  #write(piece: Uint8Array): boolean {
    const { tcp, on } = this.#parts;
    const request = takeRequest(tcp);
    request.handle = this.#to;
    request.oncomplete = (status) => this.#written(status);
    if (this.#to.writeBuffer(request, piece) !== 0) {
      on.broken();
      return false;
    }
    this.bytes += piece.length;
    if (tcp.isWriteWaiting()) {
      request.buffer = piece;
      this.#isWaiting = true;
      return false;
    }
    giveBack(request);
    return true;
  }

  #written(status: number): void {
    const { on } = this.#parts;
    this.#isWaiting = false;
    if (on.isOver()) {
      return;
    }
    if (status < 0) {
      on.broken();
    } else if (!this.#hasEnded) {
      on.moved();
      this.#from.readStart();
    }
  }

  #end(): void {
    const { tcp, on } = this.#parts;
    this.#hasEnded = true;
    const request = tcp.shutdownRequest();
    request.oncomplete = on.ended;
    // What is not connected any more has ended by itself.
    if (this.#to.shutdown(request) !== 0) {
      on.ended();
    }
  }
}

/** A request that did not have to wait is used for the next write. */
let spare: WriteRequest | undefined;

function takeRequest(tcp: NodeTcp): WriteRequest {
  const request = spare ?? tcp.writeRequest();
  spare = undefined;
  return request;
}

function giveBack(request: WriteRequest): void {
  request.handle = undefined;
  request.oncomplete = done;
  spare = request;
}

function done(): void {
  // Of no connection.
}
