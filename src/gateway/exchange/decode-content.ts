import type { Readable } from 'node:stream';
import { constants, createBrotliDecompress, createGunzip, createInflate, createZstdDecompress } from 'node:zlib';

import { tokensOf, type Field } from '../http/fields.ts';

/** Decodes a content coding (RFC 9110 section 8.4.1) as the bytes arrive, so that the content can be inspected. */
const decoders = {
  gzip: createGunzip,
  'x-gzip': createGunzip,
  deflate: createInflate,
  br: createBrotliDecompress,
  // RFC 9659: a decoder of content codings supports windows of 8 MiB, and none that are larger.
  zstd: () => createZstdDecompress({ params: { [constants.ZSTD_d_windowLogMax]: 23 } }),
} as const;

export type Coding = keyof typeof decoders;

const MiB = 1024 * 1024;

/** What a decoder holds at most, mostly its window. */
export const decoderBytes: Readonly<Record<Coding, number>> = {
  gzip: MiB / 16,
  'x-gzip': MiB / 16,
  deflate: MiB / 16,
  br: 17 * MiB,
  zstd: 9 * MiB,
};

export function isKnownCoding(coding: string): coding is Coding {
  return Object.hasOwn(decoders, coding);
}

/** Whether messages inside of the content are compressed one by one (gRPC, Connect), which is not undone here. */
export function hasCodedMessages(fields: readonly Field[]): boolean {
  return messageCodings.some((name) => tokensOf(fields, name).some((coding) => coding !== 'identity'));
}

const messageCodings = ['grpc-encoding', 'connect-content-encoding'] as const;

export type Decoder = ReturnType<(typeof decoders)[Coding]>;

/** Breaks when `body` breaks. `leave`: what happens to `body` when the decoder ends first. */
export function decodeContent(
  body: Readable,
  coding: Coding,
  leave: (body: Readable) => void = (source) => void source.destroy(),
): Decoder {
  const decoder = decoders[coding]();
  body.once('error', (error) => decoder.destroy(error));
  body.once('close', () => {
    if (!body.readableEnded) {
      decoder.destroy(new Error('the source was cut'));
    }
  });
  decoder.once('close', () => leave(body));
  return body.pipe(decoder);
}
