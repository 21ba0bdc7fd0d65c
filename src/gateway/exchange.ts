import type { StopSignal } from '../base/stop.ts';
import type { Readable, Writable } from 'node:stream';

import type { Field } from './http/fields.ts';

/** One request of a sandbox and how to answer it, the same for HTTP/1.1 and HTTP/2. */
export interface Exchange {
  /** of HTTP, as the caller said it; `other`: none that has these requests (0.9, or 2.0 in text) */
  readonly version: '1.0' | '1.1' | '2' | 'other';
  readonly method: string;
  /** the request target as it was sent */
  readonly target: string;
  /** every `Host` and `:authority` that was sent */
  readonly authorities: readonly string[];
  readonly fields: readonly Field[];
  /** `undefined`: the request has no content */
  readonly body: Readable | undefined;
  /** whether the content came to its own end; streams of HTTP/2 that are reset end like those that are complete */
  readonly isWhole: () => boolean;
  /** fields that came behind the content; asked when it has ended */
  readonly trailers: () => readonly Field[];
  readonly expectsContinue: boolean;
  /** aborts when the caller has gone before the answer was complete */
  readonly signal: StopSignal;
  readonly sendContinue: () => void;
  /** Sends the head of the answer, once; its content is written to what is returned. */
  readonly respond: (status: number, fields: readonly Field[]) => Writable;
  /** Fields that go behind the content, where the protocol has room for them; stated before the content is ended. */
  readonly sendTrailers: (fields: readonly Field[]) => void;
  readonly hasResponded: () => boolean;
  /** Ends it so that the caller sees a failure and not a short answer. */
  readonly cut: () => void;
}
