import { createStop, type Stop } from '../../base/stop.ts';
import type { ContentStream } from '../bodies/content-stream.ts';
import type { Exchange } from '../exchange.ts';
import { valuesOf, type Field } from '../http/fields.ts';
import type { ReadRequest } from '../http/request-reader.ts';
import type { WrittenContent } from '../bodies/written-content.ts';

/** An HTTP/1.1 request in progress, as its connection sees it. */
export interface Under {
  readonly request: ReadRequest;
  readonly body: ContentStream | undefined;
  readonly gone: Stop;
  trailers: readonly Field[];
  /** its content, or the want of it, is complete */
  isWhole: boolean;
  /** its content cannot be read to its end */
  isBroken: boolean;
  answer: WrittenContent | undefined;
  isAnswered: boolean;
  /** nothing is done about it any more */
  isOver: boolean;
  isContinued: boolean;
}

export interface Answering {
  readonly expectsContinue: boolean;
  readonly respond: (status: number, fields: readonly Field[]) => WrittenContent;
  readonly write: (text: string) => void;
  readonly cut: () => void;
}

export function under(request: ReadRequest, body: ContentStream | undefined): Under {
  return {
    request,
    body,
    gone: createStop(),
    trailers: [],
    isWhole: body === undefined,
    isBroken: false,
    answer: undefined,
    isAnswered: false,
    isOver: false,
    isContinued: false,
  };
}

export function http1Exchange(now: Under, { expectsContinue, respond, write, cut }: Answering): Exchange {
  const { version, method, target, fields } = now.request;
  return {
    version,
    method,
    target,
    authorities: valuesOf(fields, 'host'),
    fields,
    body: now.body,
    isWhole: () => now.isWhole,
    trailers: () => now.trailers,
    expectsContinue,
    signal: now.gone.signal,
    sendContinue() {
      if (!now.isContinued && now.answer === undefined) {
        now.isContinued = true;
        write('HTTP/1.1 100 Continue\r\n\r\n');
      }
    },
    respond,
    // Left out where the answer is not in chunks.
    sendTrailers: (behind) => now.answer?.addTrailers(behind),
    hasResponded: () => now.answer !== undefined || now.isAnswered,
    cut,
  };
}
