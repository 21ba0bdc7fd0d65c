import { ContentReader, type ContentEvents, type ReadFraming } from './content-reader.ts';
import { tokensOf, type Field } from './fields.ts';
import { createHeldText, TextFault, type HeldText } from './held-text.ts';
import { isKeptBySender, isToken, MessageFault, readField, statedFraming } from './message-fields.ts';

/**
 * Reads HTTP/1.1 requests (RFC 9112) from the bytes of one caller's connection, as strictly as answers are read: what can be
 * read in two ways is not a request, and nothing after it is read as one.
 */
export interface ReadRequest {
  readonly version: '1.0' | '1.1';
  readonly method: string;
  /** visible ASCII, otherwise as it was sent */
  readonly target: string;
  readonly fields: readonly Field[];
  readonly hasContent: boolean;
  /** the caller keeps the connection */
  readonly isKept: boolean;
  /** What stands behind it may be of another protocol: `CONNECT`, or `Upgrade`. */
  readonly isSwitch: boolean;
}

export interface RequestEvents extends ContentEvents {
  /** False: what stands behind it is left alone until `push` is called again. */
  readonly head: (request: ReadRequest) => boolean;
}

/** Past it, or past the bytes of a head, the answer is 431. */
const maxFields = 512;

const requestLine = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]{1,32}) ([\x21-\x7e]+) HTTP\/1\.([01])$/;

/** Why a head is not read. */
export type HeadFault = 'too-large' | 'malformed';

export function headFault(thrown: unknown): HeadFault {
  return (thrown instanceof TextFault && thrown.isTooLong) || thrown instanceof TooManyFields ? 'too-large' : 'malformed';
}

class TooManyFields extends MessageFault {}

/** Of one connection. `push` throws when this is no request; then nothing more may be given. */
export class RequestReader {
  readonly #on: RequestEvents;
  readonly #held: HeldText;
  readonly #content: ContentReader;

  constructor(headerBytes: number, on: RequestEvents) {
    this.#on = on;
    this.#held = createHeldText(headerBytes);
    this.#content = new ContentReader(headerBytes, this.#held, on);
  }

  /** A head was begun and is not complete. */
  get isInHead(): boolean {
    return !this.#content.isReading && !this.#held.isEmpty();
  }

  /** Answers how many of the bytes it took. */
  push(bytes: Buffer): number {
    for (let at = 0; at < bytes.length;) {
      if (this.#content.isReading) {
        at = this.#content.take(bytes, at);
        continue;
      }
      const taken = this.#held.take(bytes, at, '\r\n\r\n');
      if (taken === undefined) {
        refuseOther(this.#held.start(33));
        return bytes.length;
      }
      at = taken.at;
      if (!this.#begin(taken.text)) {
        return at;
      }
    }
    return bytes.length;
  }

  #begin(text: string): boolean {
    const { framing, ...request } = readRequest(text);
    const goesOn = this.#on.head(request);
    if (framing !== undefined) {
      this.#content.begin(framing);
    }
    return goesOn;
  }
}

/** Else another protocol would be waited for, which never sends the end of a head. */
function refuseOther(start: string): void {
  const end = start.indexOf(' ');
  if (end === -1 ? start.length > 32 || !isToken(start) : !isToken(start.slice(0, end))) {
    throw new MessageFault('this is no request of HTTP/1.1');
  }
}

function readRequest(text: string): ReadRequest & { readonly framing: ReadFraming | undefined } {
  const [first = '', ...lines] = text.split('\r\n');
  const [, method, target = '', minor] = requestLine.exec(first) ?? [];
  if (method === undefined) {
    throw new MessageFault('the request line cannot be read');
  }
  if (lines.length > maxFields) {
    throw new TooManyFields('there are too many fields');
  }
  const fields: Field[] = [];
  for (const line of lines) {
    fields.push(readField(line));
  }
  const version = minor === '0' ? '1.0' : '1.1';
  const framing = framingOf(fields, version);
  const isSwitch = method === 'CONNECT' || isUpgrade(fields);
  return {
    version,
    method,
    target,
    fields,
    isKept: isKeptBySender(fields, version === '1.0' ? '0' : '1'),
    hasContent: framing !== undefined,
    isSwitch,
    framing: isSwitch ? undefined : framing,
  };
}

/** Of a request, nothing stated means that there is no content (RFC 9112 section 6.3). */
function framingOf(fields: readonly Field[], version: ReadRequest['version']): ReadFraming | undefined {
  const stated = statedFraming(fields);
  // Faulty by RFC 9112 section 6.1: a server of that version would look for the end elsewhere.
  if (version === '1.0' && stated === 'chunked') {
    throw new MessageFault('HTTP/1.0 knows no transfer coding');
  }
  if (stated === undefined || stated === 'chunked') {
    return stated === undefined ? undefined : { kind: 'chunked' };
  }
  return stated.length === 0 ? undefined : { kind: 'length', bytes: stated.length };
}

function isUpgrade(fields: readonly Field[]): boolean {
  return fields.some(([name]) => name === 'upgrade') && tokensOf(fields, 'connection').includes('upgrade');
}
