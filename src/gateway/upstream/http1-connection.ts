import type { Socket } from 'node:net';

import { ContentStream } from '../bodies/content-stream.ts';
import { AnswerReader, type AnswerHead } from '../http/answer-reader.ts';
import type { Field } from '../http/fields.ts';
import { informationLimit } from '../limits.ts';
import { WrittenContent } from '../bodies/written-content.ts';
import { requestText, type WrittenRequest } from '../http/request-text.ts';
import type { UpgradeAnswer, UpstreamAnswer } from './upstream-request.ts';

/** Why there is no answer. */
export type Failure = 'closed' | 'unreadable' | 'talkative' | 'switched';

/** Told of one exchange; the first of `answered` and `failed` counts. */
export interface Waiting {
  readonly answered: (answer: UpgradeAnswer) => void;
  readonly failed: (why: Failure) => void;
  /** the answer is complete and all of the request is written, or the connection has ended */
  readonly settled: () => void;
}

/** Told of the connection. */
export interface Owner {
  /** it can take another request; `forMs`: how long the upstream says that it keeps it */
  readonly freed: (connection: Http1Connection, forMs: number) => void;
  readonly gone: (connection: Http1Connection) => void;
}

interface Exchange {
  readonly on: Waiting;
  readonly mayUpgrade: boolean;
  content: WrittenContent | undefined;
  body: ContentStream | undefined;
  /** of a switch of protocols that has been answered */
  switched: AnswerHead | undefined;
  isKept: boolean;
  isAnswered: boolean;
  isWritten: boolean;
  informations: number;
  keptMs: number;
  trailers: readonly Field[];
}

export type SentRequest = WrittenRequest & { readonly mayUpgrade: boolean };

/**
 * One connection to an upstream that speaks HTTP/1.1: a request at a time, written and read directly on the socket.
 * Whatever is not as it must be ends the connection, and with it at most the one exchange that it carries.
 */
export class Http1Connection {
  readonly #socket: Socket;
  readonly #owner: Owner;
  readonly #reader: AnswerReader;
  #now: Exchange | undefined;
  #sent = 0;

  constructor(socket: Socket, headerBytes: number, owner: Owner) {
    this.#socket = socket;
    this.#owner = owner;
    this.#reader = new AnswerReader(headerBytes, {
      information: () => this.#information(),
      head: (head) => this.#head(head),
      content: (piece) => this.#content(piece),
      done: (trailers) => this.#done(trailers),
      beyond: (bytes) => this.#beyond(bytes),
    });
    socket.on('data', this.#take).on('end', this.#ended).on('error', this.#broke).on('drain', this.#drained);
    socket.once('close', this.#closed);
  }

  /** a request was carried by it before the present one */
  get isReused(): boolean {
    return this.#sent > 1;
  }

  /** can take a request */
  get isFree(): boolean {
    const socket = this.#socket;
    return this.#now === undefined && !socket.destroyed && socket.writable && !socket.readableEnded;
  }

  /** Throws, and writes nothing, where the request cannot be written. What is returned takes the content. */
  send(request: SentRequest, on: Waiting): WrittenContent | undefined {
    const text = requestText(request);
    const exchange: Exchange = {
      on,
      mayUpgrade: request.mayUpgrade,
      content: undefined,
      body: undefined,
      switched: undefined,
      isKept: false,
      isAnswered: false,
      isWritten: request.framing === 'none',
      informations: 0,
      keptMs: Number.POSITIVE_INFINITY,
      trailers: [],
    };
    this.#sent += 1;
    this.#now = exchange;
    this.#reader.expect(request.method);
    const socket = this.#socket;
    if (request.framing === 'none') {
      socket.write(text, 'latin1');
      return undefined;
    }
    exchange.content = new WrittenContent(socket, {
      head: text,
      framing: request.framing,
      written: () => {
        exchange.isWritten = true;
        this.#settle(exchange);
      },
      broken: () => (this.#now === exchange ? this.#fail('closed') : undefined),
    });
    return exchange.content;
  }

  /** Ends it, and what it carries. */
  destroy(): void {
    this.#fail('closed');
  }

  readonly #take = (bytes: Buffer): void => {
    const exchange = this.#now;
    if (exchange === undefined) {
      // What nobody asked for could be taken for the answer of the next request.
      this.#fail('unreadable');
      return;
    }
    try {
      this.#reader.push(bytes);
    } catch {
      this.#fail('unreadable');
      return;
    }
    if (this.#now === exchange && exchange.switched !== undefined) {
      this.#switch(exchange, exchange.switched);
    } else {
      this.#settle(exchange);
    }
  };

  readonly #ended = (): void => {
    const exchange = this.#now;
    if (exchange !== undefined && this.#reader.end()) {
      this.#settle(exchange);
    } else {
      this.#fail('closed');
    }
  };

  readonly #broke = (): void => this.#fail('closed');

  readonly #closed = (): void => {
    this.#fail('closed');
    this.#owner.gone(this);
  };

  readonly #drained = (): void => this.#now?.content?.drained();

  #information(): void {
    if (this.#now !== undefined) {
      this.#now.informations += 1;
      if (this.#now.informations > informationLimit) {
        this.#fail('talkative');
      }
    }
  }

  #head(head: AnswerHead): void {
    const exchange = this.#now;
    if (exchange === undefined) {
      return;
    }
    if (head.status === 101) {
      // One that names no protocol is for this side an answer without content, for the other the end of HTTP.
      if (exchange.mayUpgrade && head.fields.some(([name]) => name === 'upgrade')) {
        exchange.switched = head;
      } else {
        this.#fail('switched');
      }
      return;
    }
    exchange.isKept = head.isKept;
    exchange.keptMs = keptMs(head.fields);
    const body = new ContentStream({
      more: () => void this.#socket.resume(),
      left: () => (this.#now === exchange && !exchange.isAnswered ? this.#fail('closed') : undefined),
    });
    exchange.body = body;
    const answer: UpstreamAnswer = {
      status: head.status,
      fields: head.fields,
      body,
      trailers: () => exchange.trailers,
      isWhole: () => exchange.isAnswered,
    };
    exchange.on.answered({ kind: 'answered', answer });
  }

  #content(piece: Buffer): void {
    if (this.#now?.body?.add(piece) === false) {
      this.#socket.pause();
    }
  }

  #done(trailers: readonly Field[]): void {
    const exchange = this.#now;
    if (exchange?.body !== undefined) {
      exchange.trailers = trailers;
      exchange.isAnswered = true;
      exchange.body.finish();
    }
  }

  #beyond(bytes: Buffer): void {
    const exchange = this.#now;
    if (exchange?.switched !== undefined) {
      this.#socket.pause();
      this.#socket.unshift(bytes);
    } else if (exchange !== undefined) {
      // The answer is whole; what stands behind it is nobody's.
      exchange.isKept = false;
    }
  }

  /** Both halves are through: the connection is free, or has served. */
  #settle(exchange: Exchange): void {
    if (this.#now !== exchange || !exchange.isAnswered || (!exchange.isWritten && exchange.isKept)) {
      return;
    }
    this.#now = undefined;
    if (exchange.isKept) {
      this.#socket.resume();
      this.#owner.freed(this, exchange.keptMs);
    } else {
      exchange.content?.destroy();
      this.#socket.destroy();
    }
    exchange.on.settled();
  }

  #switch(exchange: Exchange, { fields }: AnswerHead): void {
    const socket = this.#socket;
    this.#now = undefined;
    socket.pause();
    socket.off('data', this.#take).off('end', this.#ended).off('close', this.#closed).off('drain', this.#drained);
    this.#owner.gone(this);
    exchange.on.answered({ kind: 'switched', fields, socket });
    exchange.on.settled();
  }

  #fail(why: Failure): void {
    const exchange = this.#now;
    this.#now = undefined;
    this.#socket.destroy();
    if (exchange === undefined) {
      return;
    }
    exchange.content?.destroy();
    if (exchange.body === undefined) {
      exchange.on.failed(why);
    } else if (!exchange.isAnswered) {
      exchange.body.breakOff();
    }
    exchange.on.settled();
  }
}

/** `Keep-Alive: timeout=5`: a second less, so that no request meets the end. */
function keptMs(fields: readonly Field[]): number {
  for (const [name, value] of fields) {
    const seconds = name === 'keep-alive' ? /(?:^|[,\s])timeout=(\d{1,6})/i.exec(value)?.[1] : undefined;
    if (seconds !== undefined) {
      return Math.max(0, Number(seconds) * 1000 - 1000);
    }
  }
  return Number.POSITIVE_INFINITY;
}
