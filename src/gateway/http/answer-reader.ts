import { ContentReader, type ContentEvents, type ReadFraming } from './content-reader.ts';
import type { Field } from './fields.ts';
import { createHeldText, type HeldText } from './held-text.ts';
import { isKeptBySender, isText, MessageFault, readField, statedFraming } from './message-fields.ts';

/**
 * Reads HTTP/1.1 answers (RFC 9112) from the bytes of one connection. Strict: what can be read in two ways is not an answer.
 * Lines end in CRLF; names are tokens followed at once by a colon; lines are not folded; a length appears once, in digits, and
 * never next to a transfer coding; the only transfer coding is `chunked`. How the bytes are cut makes no difference.
 */
export interface AnswerHead {
  readonly status: number;
  readonly fields: readonly Field[];
  /** the connection can be used again when the answer is complete */
  readonly isKept: boolean;
}

export interface AnswerEvents extends ContentEvents {
  /** an informational answer (1xx except 101) came before the answer */
  readonly information: () => void;
  readonly head: (head: AnswerHead) => void;
  /** bytes behind a complete answer, or before any was awaited; behind a head with status 101 they are of the new protocol */
  readonly beyond: (bytes: Buffer) => void;
}

const statusLine = /^HTTP\/1\.([01]) ([1-9][0-9]{2})(?: [^\r\n]*)?$/;
/** No content follows, whatever the fields say. */
const bareStatus: ReadonlySet<number> = new Set([101, 204, 304]);
const version = Buffer.from('HTTP/1.');

/** Of one connection. `push` throws when this is no answer; then nothing more may be given. */
export class AnswerReader {
  readonly #on: AnswerEvents;
  readonly #held: HeldText;
  readonly #content: ContentReader;
  #isAwaited = false;
  #method = '';

  constructor(headerBytes: number, on: AnswerEvents) {
    this.#on = on;
    this.#held = createHeldText(headerBytes);
    this.#content = new ContentReader(headerBytes, this.#held, on);
  }

  /** An answer is awaited to a request of this method. */
  expect(method: string): void {
    this.#method = method;
    this.#isAwaited = true;
  }

  push(bytes: Buffer): void {
    for (let at = 0; at < bytes.length;) {
      if (this.#content.isReading) {
        at = this.#content.take(bytes, at);
      } else if (this.#isAwaited) {
        at = this.#takeHead(bytes, at);
      } else {
        this.#on.beyond(bytes.subarray(at));
        return;
      }
    }
  }

  /** The connection has ended: true when an answer that lasts until then has come to its end by it. */
  end(): boolean {
    return this.#content.end();
  }

  #takeHead(bytes: Buffer, at: number): number {
    const taken = this.#held.take(bytes, at, '\r\n\r\n');
    if (taken !== undefined) {
      this.#begin(readAnswerHead(taken.text));
      return taken.at;
    }
    if (!this.#held.startsLike(version)) {
      throw new MessageFault('this is no answer of HTTP/1.1');
    }
    return bytes.length;
  }

  #begin({ framing, ...head }: ReadHead): void {
    if (head.status < 200 && head.status !== 101) {
      // To some it is the last word on the connection, to others the answer is yet to come.
      if (!head.isKept) {
        throw new MessageFault('an answer is announced on a connection that closes before it');
      }
      this.#on.information();
      return;
    }
    const isBare = this.#method === 'HEAD' || bareStatus.has(head.status);
    this.#isAwaited = false;
    this.#on.head({ ...head, isKept: head.isKept && (isBare || framing.kind !== 'until-end') });
    this.#content.begin(isBare ? undefined : framing);
  }
}

type ReadHead = AnswerHead & { readonly framing: ReadFraming };

function readAnswerHead(text: string): ReadHead {
  const [first = '', ...lines] = text.split('\r\n');
  const [, minor, digits] = statusLine.exec(first) ?? [];
  if (digits === undefined || !isText(first)) {
    throw new MessageFault('the status line cannot be read');
  }
  const fields: Field[] = [];
  for (const line of lines) {
    fields.push(readField(line));
  }
  const framing = framingOf(fields);
  const isOfNow = minor === '1';
  // A transfer coding in an answer of HTTP/1.0 is read, and the connection not trusted any more.
  const isKept = isKeptBySender(fields, isOfNow ? '1' : '0') && (isOfNow || framing.kind !== 'chunked');
  return { status: Number(digits), fields, framing, isKept };
}

function framingOf(fields: readonly Field[]): ReadFraming {
  const stated = statedFraming(fields);
  return stated === undefined
    ? { kind: 'until-end' }
    : stated === 'chunked'
      ? { kind: 'chunked' }
      : { kind: 'length', bytes: stated.length };
}
