import type { Socket } from 'node:net';
import { Writable } from 'node:stream';

import { fieldLines, type Framing } from '../http/request-text.ts';
import type { Field } from '../http/fields.ts';

/**
 * Sends one message with content over its connection. The head goes with the first piece, so that nothing is sent of a request
 * whose content cannot be read. A declared length is kept exactly, or the message breaks.
 */
export interface ContentOptions {
  readonly head: string;
  /** `until-end`: the connection ends with it; `none`: there is none, whatever is written */
  readonly framing: Framing | 'until-end' | 'none';
  /** the head goes by itself where content takes its time */
  readonly isPrompt?: boolean | undefined;
  /** all of it is handed to the connection */
  readonly written: () => void;
  /** it breaks off: what the other side has of it is no whole message */
  readonly broken: () => void;
}

/** What is smaller goes in one piece with its head: one copy costs less than one more piece. */
const copiedBytes = 16 * 1024;

export class WrittenContent extends Writable {
  readonly #socket: Socket;
  readonly #ends: Pick<ContentOptions, 'written' | 'broken'>;
  readonly #framing: ContentOptions['framing'];
  readonly #isPrompt: boolean;
  #head: string;
  #left: number;
  #trailers = '';
  #waiting: (() => void) | undefined;
  #isWritten = false;

  constructor(socket: Socket, { head, framing, isPrompt, ...ends }: ContentOptions) {
    super({ decodeStrings: true });
    this.#socket = socket;
    this.#ends = ends;
    this.#head = head;
    this.#framing = framing;
    this.#isPrompt = isPrompt === true;
    this.#left = typeof framing === 'object' ? framing.length : Number.POSITIVE_INFINITY;
    this.on('error', () => undefined);
  }

  /** Fields behind the content; stated before it is ended. Without chunks there is no room for them. */
  addTrailers(fields: readonly Field[]): void {
    this.#trailers = fieldLines(fields);
  }

  /** Content is awaited. A turn later, so that head and first content go in one packet where both are there. */
  await(): void {
    if (this.#isPrompt) {
      setImmediate(() => (this.destroyed ? undefined : this.#writeHead()));
    }
  }

  /** The connection takes more. */
  drained(): void {
    const goOn = this.#waiting;
    this.#waiting = undefined;
    goOn?.();
  }

  /** All of it at once, in place of `end`, where nothing has been written yet. Throws, and has written nothing, where the length is another. */
  writeWhole(bytes: Buffer): void {
    const framing = this.#framing;
    if (this.destroyed) {
      return;
    }
    if (typeof framing === 'object' && framing.length !== bytes.length) {
      throw new Error('the content is not as long as was stated');
    }
    const content = framing === 'none' ? 0 : bytes.length;
    const isChunked = framing === 'chunked';
    const before = isChunked && content > 0 ? `${this.#takeHead()}${content.toString(16)}\r\n` : this.#takeHead();
    const behind = isChunked ? `${content > 0 ? '\r\n' : ''}0\r\n${this.#trailers}\r\n` : '';
    this.#isWritten = true;
    this.#writeAround(before, content === 0 ? undefined : bytes, behind);
    this.#ends.written();
  }

  override _write(piece: Buffer, _encoding: BufferEncoding, done: (error?: Error) => void): void {
    const socket = this.#socket;
    if (piece.length === 0 || this.#framing === 'none') {
      // As a chunk it would be the end.
      done();
      return;
    }
    if (piece.length > this.#left) {
      done(new Error('the content is longer than was stated'));
      return;
    }
    this.#left -= piece.length;
    const isChunked = this.#framing === 'chunked';
    const head = this.#takeHead();
    this.#writeAround(isChunked ? `${head}${piece.length.toString(16)}\r\n` : head, piece, isChunked ? '\r\n' : '');
    if (socket.writableNeedDrain) {
      this.#waiting = done;
    } else {
      done();
    }
  }

  override _final(done: (error?: Error) => void): void {
    if (typeof this.#framing === 'object' && this.#left > 0) {
      done(new Error('the content is shorter than was stated'));
      return;
    }
    if (this.#framing === 'chunked') {
      this.#socket.write(`${this.#takeHead()}0\r\n${this.#trailers}\r\n`, 'latin1');
    } else {
      this.#writeHead();
    }
    this.#isWritten = true;
    done();
    this.#ends.written();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    if (!this.#isWritten) {
      this.#ends.broken();
    }
    done(error);
  }

  #writeHead(): void {
    if (this.#head !== '') {
      this.#socket.write(this.#takeHead(), 'latin1');
    }
  }

  #takeHead(): string {
    const head = this.#head;
    this.#head = '';
    return head;
  }

  #writeAround(before: string, content: Buffer | undefined, behind: string): void {
    const socket = this.#socket;
    if (content === undefined) {
      socket.write(`${before}${behind}`, 'latin1');
    } else if (before === '' && behind === '') {
      socket.write(content);
    } else if (content.length <= copiedBytes) {
      socket.write(joined(before, content, behind));
    } else {
      socket.cork();
      socket.write(before, 'latin1');
      socket.write(content);
      if (behind !== '') {
        socket.write(behind, 'latin1');
      }
      socket.uncork();
    }
  }
}

function joined(before: string, content: Buffer, behind: string): Buffer {
  const all = Buffer.allocUnsafe(before.length + content.length + behind.length);
  all.write(before, 0, 'latin1');
  content.copy(all, before.length);
  all.write(behind, before.length + content.length, 'latin1');
  return all;
}
