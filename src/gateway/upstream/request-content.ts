import type { Socket } from 'node:net';
import { Writable } from 'node:stream';

import { fieldLines, type Framing } from '../http/request-text.ts';
import type { Field } from '../http/fields.ts';

/**
 * Takes one request that has content onto its connection: its head goes with the first piece, so that one whose content
 * cannot be read goes nowhere. A length that was stated is kept exactly, or the request breaks.
 */
export interface ContentOptions {
  readonly head: string;
  readonly framing: Framing;
  /** all of it is handed to the connection */
  readonly written: () => void;
  /** it breaks off: what the upstream has of it is no whole request */
  readonly broken: () => void;
}

export class RequestContent extends Writable {
  readonly #socket: Socket;
  readonly #ends: Pick<ContentOptions, 'written' | 'broken'>;
  #head: string;
  #left: number | undefined;
  #trailers = '';
  #waiting: (() => void) | undefined;

  constructor(socket: Socket, { head, framing, ...ends }: ContentOptions) {
    super({ decodeStrings: true });
    this.#socket = socket;
    this.#ends = ends;
    this.#head = head;
    this.#left = framing === 'chunked' ? undefined : framing.length;
    this.on('error', () => undefined);
  }

  /** Fields behind the content; stated before it is ended. Without chunks there is no room for them. */
  addTrailers(fields: readonly Field[]): void {
    this.#trailers = fieldLines(fields);
  }

  /** The connection takes more. */
  drained(): void {
    const goOn = this.#waiting;
    this.#waiting = undefined;
    goOn?.();
  }

  override _write(piece: Buffer, _encoding: BufferEncoding, done: (error?: Error) => void): void {
    const socket = this.#socket;
    if (piece.length === 0) {
      // As a chunk it would be the end.
      done();
      return;
    }
    if (this.#left !== undefined && piece.length > this.#left) {
      done(new Error('the content is longer than was stated'));
      return;
    }
    socket.cork();
    if (this.#left === undefined) {
      socket.write(`${this.#takeHead()}${piece.length.toString(16)}\r\n`, 'latin1');
      socket.write(piece);
      socket.write('\r\n', 'latin1');
    } else {
      this.#left -= piece.length;
      this.#writeHead();
      socket.write(piece);
    }
    socket.uncork();
    if (socket.writableNeedDrain) {
      this.#waiting = done;
    } else {
      done();
    }
  }

  override _final(done: (error?: Error) => void): void {
    if (this.#left === undefined) {
      this.#socket.write(`${this.#takeHead()}0\r\n${this.#trailers}\r\n`, 'latin1');
    } else if (this.#left > 0) {
      done(new Error('the content is shorter than was stated'));
      return;
    } else {
      this.#writeHead();
    }
    done();
    this.#ends.written();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    if (!this.writableFinished) {
      this.#ends.broken();
    }
    done(error);
  }

  #takeHead(): string {
    const head = this.#head;
    this.#head = '';
    return head;
  }

  #writeHead(): void {
    if (this.#head !== '') {
      this.#socket.write(this.#takeHead(), 'latin1');
    }
  }
}
