import type { Field } from './fields.ts';
import { createHeldText, type HeldText } from './held-text.ts';

/**
 * Reads answers of HTTP/1.1 (RFC 9112) from the bytes of one connection. Strict: what has more than one meaning is no
 * answer. Lines end in CRLF; names are tokens and touch their colon; nothing is folded; a length stands there once, in
 * digits, and never beside a transfer coding; the only transfer coding is `chunked`. How the bytes are cut changes nothing.
 */
export interface AnswerHead {
  readonly status: number;
  readonly fields: readonly Field[];
  /** the connection can be used again when the answer is complete */
  readonly isKept: boolean;
}

export interface AnswerEvents {
  /** an informational answer (1xx except 101) came before the answer */
  readonly information: () => void;
  readonly head: (head: AnswerHead) => void;
  readonly content: (piece: Buffer) => void;
  readonly done: (trailers: readonly Field[]) => void;
  /** bytes behind a complete answer, or before any was awaited; behind a head with status 101 they are of the new protocol */
  readonly beyond: (bytes: Buffer) => void;
}

export class AnswerFault extends Error {}

type State = 'idle' | 'head' | 'length' | 'until-end' | 'size' | 'chunk' | 'chunk-end' | 'trailers';

/** All that is said about chunks beside their sizes, in one answer. */
const maxExtensionBytes = 16 * 1024;
const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const statusLine = /^HTTP\/1\.([01]) ([1-9][0-9]{2})(?: [^\r\n]*)?$/;
const isText = /^[\t\x20-\x7e\x80-\xff]*$/;
/** Extensions (RFC 9112 section 7.1.1) say nothing to us. */
const sizeLine =
  /^([0-9A-Fa-f]{1,12})((?:;[!#$%&'*+\-.^_`|~0-9A-Za-z]+(?:=(?:[!#$%&'*+\-.^_`|~0-9A-Za-z]+|"(?:[\t\x20\x21\x23-\x5b\x5d-\x7e]|\\[\t\x20-\x7e])*"))?)*)$/;
/** No content follows, whatever the fields say. */
const bareStatus: ReadonlySet<number> = new Set([101, 204, 304]);
const version = Buffer.from('HTTP/1.');

/** Of one connection. `push` throws when this is no answer; then nothing more may be given. */
export class AnswerReader {
  readonly #on: AnswerEvents;
  readonly #headerBytes: number;
  readonly #held: HeldText;
  #state: State = 'idle';
  #method = '';
  /** bytes of the content or the chunk that are yet to come, or of the line end behind it */
  #left = 0;
  #extensionBytes = 0;
  #trailerBytes = 0;
  #trailers: Field[] = [];

  constructor(headerBytes: number, on: AnswerEvents) {
    this.#on = on;
    this.#headerBytes = headerBytes;
    this.#held = createHeldText(headerBytes);
  }

  /** An answer is awaited to a request of this method. */
  expect(method: string): void {
    this.#method = method;
    this.#state = 'head';
  }

  push(bytes: Buffer): void {
    for (let at = 0; at < bytes.length;) {
      if (this.#state === 'idle') {
        this.#on.beyond(bytes.subarray(at));
        return;
      }
      at = this.#take(bytes, at);
    }
  }

  /** The connection has ended: true when an answer that lasts until then has come to its end by it. */
  end(): boolean {
    if (this.#state !== 'until-end') {
      return false;
    }
    this.#complete();
    return true;
  }

  #take(bytes: Buffer, at: number): number {
    switch (this.#state) {
      case 'head':
      case 'size':
      case 'trailers':
        return this.#takeText(bytes, at);
      case 'chunk-end':
        return this.#takeEnd(bytes, at);
      default:
        return this.#takeContent(bytes, at);
    }
  }

  #takeText(bytes: Buffer, at: number): number {
    const isHead = this.#state === 'head';
    const taken = this.#held.take(bytes, at, isHead ? '\r\n\r\n' : '\r\n');
    if (taken === undefined) {
      if (isHead && !this.#held.startsLike(version)) {
        throw new AnswerFault('this is no answer of HTTP/1.1');
      }
      return bytes.length;
    }
    if (isHead) {
      this.#begin(readAnswerHead(taken.text));
    } else if (this.#state === 'size') {
      this.#readSize(taken.text);
    } else {
      this.#readTrailer(taken.text);
    }
    return taken.at;
  }

  #begin({ framing, ...head }: ReadHead): void {
    if (head.status < 200 && head.status !== 101) {
      this.#on.information();
      return;
    }
    const isBare = this.#method === 'HEAD' || bareStatus.has(head.status);
    this.#state = framing.kind === 'chunked' ? 'size' : framing.kind;
    this.#left = framing.kind === 'length' ? framing.bytes : 0;
    this.#extensionBytes = 0;
    this.#trailerBytes = 0;
    this.#trailers = [];
    this.#on.head({ ...head, isKept: head.isKept && (isBare || framing.kind !== 'until-end') });
    if (isBare || (framing.kind === 'length' && framing.bytes === 0)) {
      this.#complete();
    }
  }

  #complete(): void {
    this.#state = 'idle';
    this.#on.done(this.#trailers);
  }

  #readSize(line: string): void {
    const [, digits = '', extension = ''] = sizeLine.exec(line) ?? [];
    this.#extensionBytes += extension.length;
    if (digits === '' || this.#extensionBytes > maxExtensionBytes) {
      throw new AnswerFault('the size of a chunk cannot be read');
    }
    this.#left = Number.parseInt(digits, 16);
    this.#state = this.#left === 0 ? 'trailers' : 'chunk';
  }

  #readTrailer(line: string): void {
    this.#trailerBytes += line.length + 2;
    if (this.#trailerBytes > this.#headerBytes) {
      throw new AnswerFault('the fields behind the content are too long');
    }
    if (line === '') {
      this.#complete();
    } else {
      this.#trailers.push(readField(line));
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
    this.#on.content(count === bytes.length ? bytes : bytes.subarray(at, at + count));
    if (isLast) {
      this.#complete();
    }
    return at + count;
  }

  /** The line end behind a chunk, which may come in two parts. */
  #takeEnd(bytes: Buffer, at: number): number {
    if (bytes[at] !== (this.#left === 2 ? 0x0d : 0x0a)) {
      throw new AnswerFault('a chunk is longer than its size');
    }
    this.#left -= 1;
    if (this.#left === 0) {
      this.#state = 'size';
    }
    return at + 1;
  }
}

type ReadHead = AnswerHead & { readonly framing: Framing };

type Framing =
  | { readonly kind: 'length'; readonly bytes: number }
  | { readonly kind: 'chunked' }
  | { readonly kind: 'until-end' };

function readAnswerHead(text: string): ReadHead {
  const [first = '', ...lines] = text.split('\r\n');
  const [, minor, digits] = statusLine.exec(first) ?? [];
  if (digits === undefined || !isText.test(first)) {
    throw new AnswerFault('the status line cannot be read');
  }
  const fields: Field[] = [];
  for (const line of lines) {
    fields.push(readField(line));
  }
  const framing = framingOf(fields);
  return { status: Number(digits), fields, framing, isKept: isKept(fields, minor === '1', framing) };
}

function readField(line: string): Field {
  const colon = line.indexOf(':');
  const name = line.slice(0, Math.max(0, colon));
  if (!token.test(name) || !isText.test(line)) {
    throw new AnswerFault('a field cannot be read');
  }
  return [name.toLowerCase(), withoutBlanks(line, colon + 1)];
}

/** By hand: `trim` takes more than blanks and tabs, and an expression takes long for many blanks in the middle. */
function withoutBlanks(line: string, from: number): string {
  let start = from;
  let end = line.length;
  while (start < end && isBlank(line.charCodeAt(start))) {
    start += 1;
  }
  while (end > start && isBlank(line.charCodeAt(end - 1))) {
    end -= 1;
  }
  return line.slice(start, end);
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09;
}

function framingOf(fields: readonly Field[]): Framing {
  let length: string | undefined;
  let coding: string | undefined;
  for (const [name, value] of fields) {
    if (name === 'content-length') {
      if (length !== undefined || !/^[0-9]{1,15}$/.test(value)) {
        throw new AnswerFault('the length of the content has more than one meaning');
      }
      length = value;
    } else if (name === 'transfer-encoding') {
      if (coding !== undefined || value.toLowerCase() !== 'chunked') {
        throw new AnswerFault('the transfer coding is not known');
      }
      coding = value;
    }
  }
  if (coding !== undefined && length !== undefined) {
    throw new AnswerFault('a length stands beside a transfer coding');
  }
  return coding !== undefined
    ? { kind: 'chunked' }
    : length === undefined
      ? { kind: 'until-end' }
      : { kind: 'length', bytes: Number(length) };
}

/** RFC 9112 section 9.3. A transfer coding in an answer of HTTP/1.0 is read, and the connection not trusted any more. */
function isKept(fields: readonly Field[], isOfNow: boolean, { kind }: Framing): boolean {
  let isClosing = false;
  let isKeeping = false;
  for (const [name, value] of fields) {
    if (name === 'connection') {
      const words = value.toLowerCase().split(',');
      isClosing ||= words.some((word) => word.trim() === 'close');
      isKeeping ||= words.some((word) => word.trim() === 'keep-alive');
    }
  }
  return !isClosing && (isOfNow || (isKeeping && kind !== 'chunked'));
}
