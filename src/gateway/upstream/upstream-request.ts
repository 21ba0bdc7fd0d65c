import type { StopSignal } from '../../base/stop.ts';
import type { Socket } from 'node:net';
import type { Readable } from 'node:stream';

import type { PumpOptions } from '../bodies/pump.ts';
import type { Attempt } from '../fault.ts';
import type { Field } from '../http/fields.ts';
import type { GatewayLimits } from '../limits.ts';
import type { TlsSessions } from '../tls/tls-sessions.ts';
import type { Destination } from './destination.ts';
import type { Dialer } from './dialer.ts';

/** What an upstream is asked, and what it answers. */
export interface UpstreamRequest {
  readonly method: string;
  readonly target: string;
  readonly authority: string;
  readonly fields: readonly Field[];
  readonly body: RequestBody | undefined;
  /** the caller reads fields behind the answer (RFC 9110 section 10.1.4); gRPC servers insist on being told */
  readonly takesTrailers: boolean;
  readonly signal: StopSignal;
  /** HTTP/2, where the upstream offers it */
  readonly prefersHttp2: boolean;
  /** Asked when a connection is there and nothing is written yet: whether the credential in it still holds; absent: yes. */
  readonly isCurrent?: (() => boolean) | undefined;
}

export interface RequestBody {
  readonly stream: Readable;
  readonly options: PumpOptions;
  /** fields behind it; asked when it has ended, throws where they must not go on */
  readonly trailers: () => readonly Field[];
}

export interface UpstreamAnswer {
  readonly status: number;
  readonly fields: readonly Field[];
  /** fields that the gateway adds in its own name */
  readonly own?: readonly Field[] | undefined;
  readonly body: Readable;
  /** fields behind the body; asked when it has ended */
  readonly trailers: () => readonly Field[];
  /** asked when the body has ended: whether it came to its own end */
  readonly isWhole: () => boolean;
}

export type UpgradeAnswer =
  | { readonly kind: 'switched'; readonly fields: readonly Field[]; readonly socket: Socket }
  | { readonly kind: 'answered'; readonly answer: UpstreamAnswer };

export interface UpstreamOptions {
  readonly destination: Destination;
  /** TLS towards the upstream */
  readonly secure: boolean;
  readonly dialer: Dialer;
  readonly limits: GatewayLimits;
  /** of TLS, where a connection may be resumed */
  readonly sessions?: TlsSessions | undefined;
}

/** One upstream of one sandbox: its connections are never shared with another sandbox. */
export interface Upstream {
  /** Resolves with the head of the answer. The request's body is sent while the answer already comes. */
  readonly request: (request: UpstreamRequest) => Promise<Attempt<UpstreamAnswer>>;
  /** Asks for a WebSocket over HTTP/1.1, on a connection of its own. */
  readonly upgrade: (request: UpstreamRequest) => Promise<Attempt<UpgradeAnswer>>;
  /** Closes what is unused; exchanges that are under way end by themselves. */
  readonly retire: () => void;
  readonly close: () => void;
}
