import type { Readable } from 'node:stream';
import { createBrotliDecompress, createGunzip, createInflate, createZstdDecompress } from 'node:zlib';

/** Undoes a content coding (RFC 9110 section 8.4.1) as the bytes come, so that secrets in it can be seen. */
const decoders = {
  gzip: createGunzip,
  'x-gzip': createGunzip,
  deflate: createInflate,
  br: createBrotliDecompress,
  zstd: createZstdDecompress,
} as const;

export function isKnownCoding(coding: string): coding is keyof typeof decoders {
  return Object.hasOwn(decoders, coding);
}

/** Breaks when `body` breaks; stops reading `body` when it is destroyed. */
export function decodeContent(body: Readable, coding: keyof typeof decoders): Readable {
  const decoder = decoders[coding]();
  body.once('error', (error) => decoder.destroy(error));
  body.once('close', () => {
    if (!body.readableEnded) {
      decoder.destroy(new Error('the source was cut'));
    }
  });
  decoder.once('close', () => body.destroy());
  return body.pipe(decoder);
}
