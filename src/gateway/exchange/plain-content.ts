import { Readable } from 'node:stream';

import type { StopSignal } from '../../base/stop.ts';
import { decodeContent, decoderBytes, hasCodedMessages, isKnownCoding, type Coding } from './decode-content.ts';
import type { Exchange } from '../exchange.ts';
import { tokensOf } from '../http/fields.ts';
import type { LiveSandbox } from '../live-sandbox.ts';
import { refuse, type Refusal } from '../refusal.ts';

/**
 * A request with its content uncompressed. Compressed content is decoded as it arrives and sent on decoded, so that the upstream
 * reads exactly what was searched and judged, and no second decoder can read it differently.
 */
export interface PlainContent {
  readonly exchange: Exchange;
  /** why it cannot be read, and must not go on */
  readonly refusal?: Refusal;
}

/** `aws-chunked` only frames the content (Amazon S3, streaming signatures): its bytes can be read as they are. */
const readableCodings: ReadonlySet<string> = new Set(['identity', 'aws-chunked']);

/** Statements about the content as it was sent, which no longer hold. */
const aboutCoding: ReadonlySet<string> = new Set([
  'content-encoding',
  'content-length',
  'content-md5',
  'content-digest',
  'repr-digest',
  'digest',
]);

/** Allocates nothing until the content is read. */
export function plainContent(exchange: Exchange, live: Pick<LiveSandbox, 'counts' | 'limits'>): PlainContent {
  const [coding, ...more] = tokensOf(exchange.fields, 'content-encoding').filter((token) => !readableCodings.has(token));
  const { body } = exchange;
  if (body !== undefined && hasCodedMessages(exchange.fields)) {
    const message = 'the messages in the content are compressed one by one, which cannot be read here; send them as they are';
    return { exchange, refusal: refuse('content-not-readable', message) };
  }
  if (coding === undefined || body === undefined) {
    return { exchange };
  }
  if (more.length > 0 || !isKnownCoding(coding)) {
    return {
      exchange,
      refusal: refuse('content-not-readable', 'the content is in a coding that cannot be read here; send it as it is'),
    };
  }
  if (!reserveDecoder(exchange, decoderBytes[coding], live)) {
    return { exchange, refusal: refuse('too-busy', 'too many compressed requests at the same time') };
  }
  const fields = exchange.fields.filter(([name]) => !aboutCoding.has(name));
  return {
    exchange: { ...exchange, fields, body: Readable.from(decoded(exchange, body, { coding, live }), { objectMode: false }) },
  };
}

/** for decoders that have not begun; by the signal of the exchange, which stays the same where its content is put in another form */
const reserved = new WeakMap<StopSignal, number>();

/** At once, though it is made later: many requests may wait for their permission together. */
function reserveDecoder(
  { signal }: Exchange,
  bytes: number,
  { counts, limits }: Pick<LiveSandbox, 'counts' | 'limits'>,
): boolean {
  if (reserved.has(signal)) {
    return true;
  }
  const isRoom = counts.decodingBytes + bytes <= limits.decodingBytes;
  if (isRoom) {
    counts.decodingBytes += bytes;
    reserved.set(signal, bytes);
  }
  return isRoom;
}

/** The exchange is over. A decoder that has begun gives back what it holds when it ends itself. */
export function releaseDecoder({ signal }: Exchange, counts: LiveSandbox['counts']): void {
  counts.decodingBytes -= reserved.get(signal) ?? 0;
  reserved.delete(signal);
}

/** Content that is decoded to more than this, and to more than `maxRatio` times what was sent, is a bomb. */
const freeBytes = 1024 * 1024;
const maxRatio = 100;

async function* decoded(
  exchange: Exchange,
  body: Readable,
  { coding, live: { counts } }: { readonly coding: Coding; readonly live: Pick<LiveSandbox, 'counts'> },
): AsyncGenerator<Buffer> {
  // Else it was given back already.
  counts.decodingBytes += reserved.delete(exchange.signal) ? 0 : decoderBytes[coding];
  // Over HTTP/2 the request's stream is the answer's, too: it is read to its end, and the caller hears why.
  const decoder = decodeContent(body, coding, (source) => void source.resume());
  let bytes = 0;
  try {
    for await (const piece of decoder as AsyncIterable<Buffer>) {
      bytes += piece.length;
      if (bytes > freeBytes && bytes > maxRatio * decoder.bytesWritten) {
        throw new Error(`the content is more than ${maxRatio} times as long as what was sent`);
      }
      yield piece;
    }
  } finally {
    counts.decodingBytes -= decoderBytes[coding];
  }
}
