import type { Field } from './fields.ts';
import type { HeldText } from './held-text.ts';
import { MessageFault, readField } from './message-fields.ts';

/** How to find the end of a message's content (RFC 9112 section 6). */
export type ReadFraming =
  | { readonly kind: 'length'; readonly bytes: number }
  | { readonly kind: 'chunked' }
  | { readonly kind: 'until-end' };

export interface ContentEvents {
  readonly content: (piece: Buffer) => void;
  readonly done: (trailers: readonly Field[]) => void;
}

type State = 'none' | 'length' | 'until-end' | 'size' | 'chunk' | 'chunk-end' | 'trailers';

/** What a reader that joins trailers to the head would find beside its own framing (RFC 9110 section 6.5.1). */
const ofFraming: ReadonlySet<string> = new Set(['content-length', 'transfer-encoding']);
/** All that is said about chunks beside their sizes, in one message. */
const maxExtensionBytes = 16 * 1024;
/**
 * Chunks below this that came together go on together: each piece costs the streams behind it as much as a kilobyte does, and
 * ten thousand chunks of one byte fit into what is read at once.
 */
const smallBytes = 1024;
/** Extensions (RFC 9112 section 7.1.1) say nothing to us. */
const mostDigits = 12;
const sizeLine =
  /^([0-9A-Fa-f]{1,12})((?:;[!#$%&'*+\-.^_`|~0-9A-Za-z]+(?:=(?:[!#$%&'*+\-.^_`|~0-9A-Za-z]+|"(?:[\t\x20\x21\x23-\x5b\x5d-\x7e]|\\[\t\x20-\x7e])*"))?)*)$/;

/** Reads the content of requests and answers alike, behind their heads. Throws where its framing is not exactly as it must be. */
export class ContentReader {
  readonly #on: ContentEvents;
  readonly #headerBytes: number;
  readonly #held: HeldText;
  #state: State = 'none';
  /** bytes of the content or the chunk that are yet to come, or of the line end behind it */
  #left = 0;
  #extensionBytes = 0;
  #trailerBytes = 0;
  #trailers: Field[] = [];
  /** small chunks of the bytes that are being taken, one behind the other */
  #small: Buffer | undefined;
  #smallBytes = 0;

  /** `held`: of the connection; empty between a head and its content. */
  constructor(headerBytes: number, held: HeldText, on: ContentEvents) {
    this.#on = on;
    this.#headerBytes = headerBytes;
    this.#held = held;
  }

  /** Content is awaited, or the line that ends it. */
  get isReading(): boolean {
    return this.#state !== 'none';
  }

  /** A head is complete. Where no content follows it, this is its end. */
  begin(framing: ReadFraming | undefined): void {
    this.#trailers = [];
    if (framing === undefined || (framing.kind === 'length' && framing.bytes === 0)) {
      this.#complete();
      return;
    }
    this.#state = framing.kind === 'chunked' ? 'size' : framing.kind;
    this.#left = framing.kind === 'length' ? framing.bytes : 0;
    this.#extensionBytes = 0;
    this.#trailerBytes = 0;
  }

  /** Takes of the bytes from `at` on what belongs to the content, and answers where it stopped. */
  take(bytes: Buffer, at: number): number {
    let now = at;
    try {
      while (now < bytes.length && this.isReading) {
        now = this.#takeSome(bytes, now);
      }
    } finally {
      this.#handSmall();
      this.#small = undefined;
    }
    return now;
  }

  #takeSome(bytes: Buffer, at: number): number {
    switch (this.#state) {
      case 'size':
        return this.#takeSize(bytes, at) ?? this.#takeLine(bytes, at);
      case 'trailers':
        this.#handSmall();
        return this.#takeLine(bytes, at);
      case 'chunk-end':
        return this.#takeEnd(bytes, at);
      default:
        return this.#takeContent(bytes, at);
    }
  }

  /** The connection has ended: true when content that lasts until then has come to its end by it. */
  end(): boolean {
    if (this.#state !== 'until-end') {
      return false;
    }
    this.#complete();
    return true;
  }

  #complete(): void {
    this.#state = 'none';
    this.#on.done(this.#trailers);
  }

  /** The usual line of a chunk, digits and nothing else, where it is there as a whole: no text is made of it. */
  #takeSize(bytes: Buffer, at: number): number | undefined {
    let size = 0;
    let digits = 0;
    for (; digits < mostDigits; digits += 1) {
      const digit = hexDigit(bytes[at + digits]);
      if (digit === -1) {
        break;
      }
      size = size * 16 + digit;
    }
    const end = at + digits;
    if (digits === 0 || bytes[end] !== 0x0d || bytes[end + 1] !== 0x0a || !this.#held.isEmpty()) {
      return undefined;
    }
    this.#begins(size);
    return end + 2;
  }

  #begins(size: number): void {
    this.#left = size;
    this.#state = size === 0 ? 'trailers' : 'chunk';
  }

  #takeLine(bytes: Buffer, at: number): number {
    const taken = this.#held.take(bytes, at, '\r\n');
    if (taken === undefined) {
      return bytes.length;
    }
    if (this.#state === 'size') {
      this.#readSize(taken.text);
    } else {
      this.#readTrailer(taken.text);
    }
    return taken.at;
  }

  #readSize(line: string): void {
    const [, digits = '', extension = ''] = sizeLine.exec(line) ?? [];
    this.#extensionBytes += extension.length;
    if (digits === '' || this.#extensionBytes > maxExtensionBytes) {
      throw new MessageFault('the size of a chunk cannot be read');
    }
    this.#begins(Number.parseInt(digits, 16));
  }

  #readTrailer(line: string): void {
    this.#trailerBytes += line.length + 2;
    if (this.#trailerBytes > this.#headerBytes) {
      throw new MessageFault('the fields behind the content are too long');
    }
    if (line === '') {
      this.#complete();
    } else {
      const field = readField(line);
      if (ofFraming.has(field[0])) {
        throw new MessageFault('a field behind the content says where it ends');
      }
      this.#trailers.push(field);
    }
  }

  #takeContent(bytes: Buffer, at: number): number {
    const there = bytes.length - at;
    const count = this.#state === 'until-end' ? there : Math.min(this.#left, there);
    this.#left -= count;
    const isLast = this.#state === 'length' && this.#left === 0;
    if (this.#state === 'chunk' && this.#left === 0) {
      this.#state = 'chunk-end';
      this.#left = 2;
    }
    this.#hand(bytes, at, count);
    if (isLast) {
      this.#handSmall();
      this.#complete();
    }
    return at + count;
  }

  #hand(bytes: Buffer, at: number, count: number): void {
    if (count >= smallBytes || count === bytes.length) {
      this.#handSmall();
      this.#on.content(count === bytes.length ? bytes : bytes.subarray(at, at + count));
      return;
    }
    this.#small ??= Buffer.allocUnsafe(bytes.length - at);
    if (count > 8) {
      bytes.copy(this.#small, this.#smallBytes, at, at + count);
    } else {
      // A call would take longer.
      for (let index = 0; index < count; index += 1) {
        this.#small[this.#smallBytes + index] = bytes[at + index] ?? 0;
      }
    }
    this.#smallBytes += count;
  }

  /** A copy, so that the room is not held as long as what is in it. */
  #handSmall(): void {
    if (this.#small !== undefined && this.#smallBytes > 0) {
      const small = Buffer.from(this.#small.subarray(0, this.#smallBytes));
      this.#smallBytes = 0;
      this.#on.content(small);
    }
  }

  /** The line end behind a chunk, which may come in two parts. */
  #takeEnd(bytes: Buffer, at: number): number {
    if (bytes[at] !== (this.#left === 2 ? 0x0d : 0x0a)) {
      throw new MessageFault('a chunk is longer than its size');
    }
    this.#left -= 1;
    if (this.#left === 0) {
      this.#state = 'size';
    }
    return at + 1;
  }
}

/** -1: it is none. */
function hexDigit(byte: number | undefined): number {
  if (byte === undefined) {
    return -1;
  }
  if (byte >= 0x30 && byte <= 0x39) {
    return byte - 0x30;
  }
  const lowered = byte | 0x20;
  return lowered >= 0x61 && lowered <= 0x66 ? lowered - 0x57 : -1;
}
