import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';

import { ContentStream } from '../bodies/content-stream.ts';
import { WrittenContent } from '../bodies/written-content.ts';
import { answerRefusal } from '../exchange/answer-refusal.ts';
import { headRefusal, type HeadRefusalReason } from '../exchange/head-refusal.ts';
import { relay } from '../exchange/relay.ts';
import type { Exchange } from '../exchange.ts';
import { tokensOf, type Field } from '../http/fields.ts';
import { headFault, RequestReader, type ReadRequest } from '../http/request-reader.ts';
import type { Site } from '../live-sandbox.ts';
import { refuse, type RefusalReason } from '../refusal.ts';
import { answerHead } from './http1-answer.ts';
import { http1Exchange, under, type Under } from './http1-exchange.ts';
import { watchCaller } from './watch-caller.ts';
import { relayUpgrade } from './websocket.ts';

/** Serves HTTP/1.1 to a caller, read and written directly on its connection, and strictly (`RequestReader`). */
export function serveHttp1(socket: Socket, site: Site): void {
  new CallerConnection(socket, site).begin();
}

/** How long a connection that has had its last answer is read on: what a caller still sends must not destroy that answer. */
const lingerMs = 500;

/** Requests are carried out one after the other, whatever was sent ahead; of that a bounded number is read. */
class CallerConnection {
  readonly #socket: Socket;
  readonly #site: Site;
  readonly #reader: RequestReader;
  #now: Under | undefined;
  #waiting: ReadRequest[] = [];
  /** what stands behind the last head that was read waits, because an earlier request has to end first */
  #isBlocked = false;
  /** what was received of that */
  #held: Buffer | undefined;
  /** where the content of the present request goes; `undefined`: nobody wants it */
  #sink: ContentStream | undefined;
  /** why nothing more is read as a request */
  #fault: HeadRefusalReason | undefined;
  /** the last answer has gone */
  #isEnding = false;
  /** its bytes are of another protocol now */
  #isSwitched = false;

  constructor(socket: Socket, site: Site) {
    this.#socket = socket;
    this.#site = site;
    this.#reader = new RequestReader(site.live.limits.headerBytes, {
      head: (request) => this.#head(request),
      content: (piece) => this.#content(piece),
      done: (trailers) => this.#whole(trailers),
    });
  }

  begin(): void {
    const socket = this.#socket;
    socket.on('data', this.#take).on('end', this.#ended).on('drain', this.#drained).once('close', this.#closed);
    watchCaller(socket, {
      live: this.#site.live,
      isIdle: () => this.#now === undefined && !this.#isSwitched,
      isInHead: () => this.#reader.isInHead,
      slow: () => this.#endWith(408),
      unused: () => this.#finish(),
    });
    socket.resume();
  }

  readonly #take = (bytes: Buffer): void => {
    if (this.#isEnding || this.#fault !== undefined) {
      return;
    }
    if (this.#isBlocked) {
      this.#held = this.#held === undefined ? bytes : Buffer.concat([this.#held, bytes]);
      return;
    }
    try {
      const taken = this.#reader.push(bytes);
      if (taken < bytes.length) {
        this.#held = bytes.subarray(taken);
      }
    } catch (thrown) {
      this.#broken(thrown);
    }
  };

  /** Half a connection is none here: the caller's end is the end of all that it asked for. */
  readonly #ended = (): void => {
    this.#leave();
    this.#finish();
  };

  readonly #closed = (): void => this.#leave();

  readonly #drained = (): void => {
    this.#now?.answer?.drained();
    this.#next();
  };

  #leave(): void {
    this.#waiting = [];
    const now = this.#now;
    if (now !== undefined) {
      this.#breakContent(now);
      now.gone.abort('caller-gone');
    }
  }

  /** Not whole, and never will be. */
  #breakContent(now: Under): void {
    this.#sink = undefined;
    if (!now.isWhole) {
      now.isBroken = true;
      now.body?.breakOff();
    }
  }

  #head(request: ReadRequest): boolean {
    const isNext = this.#now === undefined && this.#waiting.length === 0 && !this.#socket.writableNeedDrain;
    if (!isNext && this.#waiting.length + 1 >= this.#site.live.limits.pipelined) {
      this.#socket.destroy();
      return false;
    }
    this.#isBlocked = request.isSwitch || (request.hasContent && !isNext);
    if (this.#isBlocked) {
      this.#socket.pause();
    }
    if (isNext) {
      this.#start(request);
    } else {
      this.#waiting.push(request);
    }
    return !this.#isBlocked;
  }

  #content(piece: Buffer): void {
    const sink = this.#sink;
    if (sink !== undefined && !sink.destroyed && !sink.add(piece)) {
      this.#socket.pause();
    }
  }

  #whole(trailers: readonly Field[]): void {
    const now = this.#now;
    if (now !== undefined) {
      now.trailers = trailers;
      now.isWhole = true;
      this.#sink?.finish();
      this.#sink = undefined;
      this.#next();
    }
  }

  #start(request: ReadRequest): void {
    const body =
      request.hasContent && !request.isSwitch
        ? new ContentStream({ more: () => this.#resume(), left: () => this.#dropContent(now) })
        : undefined;
    const now = under(request, body);
    this.#now = now;
    this.#sink = body;
    void this.#carryOut(now).then(() => {
      now.isOver = true;
      this.#next();
    });
  }

  #resume(): void {
    if (!this.#isBlocked) {
      this.#socket.resume();
    }
  }

  /** Nobody reads the content any more: what comes of it is passed over. */
  #dropContent(now: Under): void {
    if (this.#now === now) {
      this.#sink = undefined;
      this.#resume();
    }
  }

  /** Never rejects. Resolves when the answer is stated as a whole, or never will be. */
  async #carryOut(now: Under): Promise<void> {
    const { request } = now;
    const site = this.#site;
    const isExpecting = request.version === '1.1' ? tokensOf(request.fields, 'expect') : [];
    const isKnown = isExpecting.every((token) => token === '100-continue');
    const exchange = http1Exchange(now, {
      expectsContinue: isExpecting.length > 0,
      respond: (status, fields) => this.#respond(now, status, fields),
      write: (text) => void this.#socket.write(text, 'latin1'),
      cut: () => void this.#socket.destroy(),
    });
    if (request.method === 'CONNECT') {
      await refused(exchange, site, 'target-not-allowed');
    } else if (request.isSwitch) {
      await relayUpgrade({ exchange, hasMore: () => this.#held !== undefined, take: () => this.#hand(now) }, site);
    } else if (isKnown) {
      await relay(exchange, site);
    } else {
      await refused(exchange, site, 'expectation-unknown');
    }
  }

  #respond(now: Under, status: number, fields: readonly Field[]): WrittenContent {
    const socket = this.#socket;
    const { request } = now;
    const { head, framing, isKept } = answerHead({
      request,
      status,
      fields,
      mayKeep: !request.isSwitch && !now.isBroken,
      nowMs: this.#site.live.clock.nowMs(),
    });
    const answer = new WrittenContent(socket, {
      head,
      framing,
      isPrompt: true,
      written: () => {
        now.isAnswered = true;
        if (isKept) {
          this.#next();
        } else {
          this.#breakContent(now);
          this.#finish();
        }
      },
      broken: () => void socket.destroy(),
    });
    now.answer = answer;
    return answer;
  }

  /** Goes on to the next request when the present one is through in both directions, and the caller takes answers. */
  #next(): void {
    const now = this.#now;
    if (this.#isEnding || this.#isSwitched || (now !== undefined && !isThrough(now))) {
      return;
    }
    this.#now = undefined;
    if (!this.#socket.writableNeedDrain) {
      this.#goOn(this.#waiting.shift());
    }
  }

  #goOn(request: ReadRequest | undefined): void {
    if (request !== undefined) {
      this.#start(request);
    }
    if (this.#fault !== undefined) {
      if (request === undefined) {
        const { status, fields, body } = headRefusal(this.#fault);
        this.#endWith(status, fields, body);
      }
    } else if (this.#waiting.length === 0 && request?.isSwitch !== true) {
      this.#readOn();
    }
  }

  #readOn(): void {
    const held = this.#held;
    this.#held = undefined;
    this.#isBlocked = false;
    if (held !== undefined) {
      this.#take(held);
    }
    this.#resume();
  }

  /** The socket for another protocol, paused and without a listener of ours. */
  #hand(now: Under): Socket {
    const socket = this.#socket;
    this.#isSwitched = true;
    now.isAnswered = true;
    socket.pause();
    socket.off('data', this.#take).off('end', this.#ended).off('drain', this.#drained);
    if (this.#held !== undefined) {
      socket.unshift(this.#held);
      this.#held = undefined;
    }
    return socket;
  }

  /** What came before it is answered first; it and what stands behind it are no requests. */
  #broken(thrown: unknown): void {
    const reason = headFault(thrown) === 'too-large' ? 'headers-too-large' : 'malformed-request';
    this.#fault = reason;
    this.#socket.pause();
    const { live, host, port, onExchange } = this.#site;
    onExchange();
    live.counts.denied += 1;
    const fault = thrown instanceof Error ? thrown.message.slice(0, 64) : '';
    void live.recorder.deny({ subject: `${host}:${port}`, detail: { fault } }, { reason });
    if (this.#now !== undefined && this.#waiting.length === 0) {
      // Where its own content is what cannot be read, that is its end, and the answer says so.
      this.#breakContent(this.#now);
    }
    this.#next();
  }

  #endWith(status: number, fields: readonly Field[] = [['content-length', '0']], body: Buffer = Buffer.alloc(0)): void {
    const socket = this.#socket;
    if (this.#now?.answer !== undefined || this.#isSwitched) {
      // In the middle of something else it would be read as a part of it.
      socket.destroy();
      return;
    }
    if (socket.writable && !this.#isEnding) {
      const lines = [['connection', 'close'] as const, ...fields].map(([name, value]) => `${name}: ${value}\r\n`);
      socket.write(`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n${lines.join('')}\r\n`);
      socket.write(body);
    }
    this.#leave();
    this.#finish();
  }

  /** A caller that goes on sending does not keep the connection. */
  #finish(): void {
    const socket = this.#socket;
    if (!this.#isEnding) {
      this.#isEnding = true;
      this.#held = undefined;
      this.#sink = undefined;
      this.#waiting = [];
      socket.end(() => void setTimeout(() => socket.destroy(), lingerMs).unref());
      socket.resume();
    }
  }
}

/** It is answered, and all of it is read. */
function isThrough({ isOver, isAnswered, isWhole, isBroken }: Under): boolean {
  return isOver && isAnswered && (isWhole || isBroken);
}

async function refused(exchange: Exchange, site: Site, reason: RefusalReason): Promise<void> {
  site.onExchange();
  await answerRefusal(exchange, site, refuse(reason, 'this kind of request is not carried out here')).catch(() => exchange.cut());
}
