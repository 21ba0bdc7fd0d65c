import type { StopSignal } from '../../base/stop.ts';
import type { Readable } from 'node:stream';

import { gather } from '../../base/gather.ts';
import type { Exchange } from '../exchange.ts';
import { valuesOf } from '../http/fields.ts';
import { refuse, type Refusal } from '../refusal.ts';

/** Reads the whole content of a request, up to a bound, before any of it is sent on. */
export interface Content {
  /** bytes as the head says; `undefined`: it does not */
  readonly length: number | undefined;
  /** The same bytes each time. A refusal where there is more than `maxBytes`, or it does not come to its end. */
  readonly read: (maxBytes: number) => Promise<Buffer | Refusal>;
}

/** What the sandbox's requests hold in memory together. */
export interface HeldContent {
  heldBytes: number;
}

export interface HeldLimit {
  readonly counts: HeldContent;
  readonly limits: { readonly heldBytes: number };
}

/** by the signal of the exchange, which stays the same where its content is put in another form */
const heldBy = new WeakMap<StopSignal, number>();
/** what was read already, where a request is judged a second time */
const readings = new WeakMap<Readable, Promise<Buffer | Refusal>>();

/** When the exchange is over: its content is not held any more. */
export function releaseContent(exchange: Exchange, counts: HeldContent): void {
  counts.heldBytes -= heldBy.get(exchange.signal) ?? 0;
  heldBy.delete(exchange.signal);
}

/** So much more of it is held, until the exchange is over. False: it is too much for this sandbox. */
export function holdContent(exchange: Exchange, bytes: number, { counts, limits }: HeldLimit): boolean {
  counts.heldBytes += bytes;
  heldBy.set(exchange.signal, (heldBy.get(exchange.signal) ?? 0) + bytes);
  return counts.heldBytes <= limits.heldBytes;
}

/** `undefined`: the request has none. */
export function contentOf(exchange: Exchange, { counts, limits }: HeldLimit): Content | undefined {
  const { body } = exchange;
  if (body === undefined) {
    return undefined;
  }
  const [length] = valuesOf(exchange.fields, 'content-length');
  return {
    length: length === undefined ? undefined : Number(length),
    async read(maxBytes) {
      if (length !== undefined && Number(length) > maxBytes) {
        return tooLarge(maxBytes);
      }
      const known = readings.get(body);
      if (known !== undefined) {
        return known;
      }
      if (exchange.expectsContinue) {
        exchange.sendContinue();
      }
      const reading = collect(body, {
        maxBytes,
        isWhole: exchange.isWhole,
        hold: (bytes) => holdContent(exchange, bytes, { counts, limits }),
      });
      readings.set(body, reading);
      return reading;
    },
  };
}

function tooLarge(maxBytes: number): Refusal {
  return refuse('content-too-large', `the content is larger than ${maxBytes / 1024} KiB, so it cannot be read as a whole first`);
}

interface Collecting {
  readonly maxBytes: number;
  readonly isWhole: () => boolean;
  /** whether so much more may be held */
  readonly hold: (bytes: number) => boolean;
}

function collect(body: Readable, { maxBytes, isWhole, hold }: Collecting): Promise<Buffer | Refusal> {
  const { promise, resolve } = Promise.withResolvers<Buffer | Refusal>();
  const pieces = gather();
  let size = 0;
  const broken = (): void => resolve(refuse('malformed-request', 'the content of the request did not come to its end'));
  const take = (piece: Buffer): void => {
    size += piece.length;
    if (size <= maxBytes && hold(piece.length)) {
      pieces.add(piece);
      return;
    }
    pieces.take();
    body.off('data', take);
    body.pause();
    resolve(
      size > maxBytes ? tooLarge(maxBytes) : refuse('too-busy', 'too much content is held for this sandbox at the same time'),
    );
  };
  if (body.destroyed && !body.readableEnded) {
    // Its events are over: nobody would hear of it.
    broken();
  }
  body.on('data', take);
  body.once('end', () => (isWhole() ? resolve(pieces.take()) : broken()));
  body.once('error', broken);
  body.once('close', broken);
  return promise;
}
