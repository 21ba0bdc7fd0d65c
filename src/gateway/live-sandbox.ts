import type { Socket } from 'node:net';

import type { HostName } from '../base/host.ts';
import type { DenyReason, NetworkRule } from '../policy/policy.ts';
import type { Clock } from '../system/clock.ts';
import type { Asks } from './asks/asks.ts';
import type { Budgets } from './guards/budgets.ts';
import type { Dialer } from './upstream/dialer.ts';
import type { Fault } from './fault.ts';
import type { GatewaySandbox, GatewayUsage } from './gateway.ts';
import type { LearnState } from './exchange/learn-state.ts';
import type { LeafStore } from './tls/leaf-store.ts';
import type { Sender } from './guards/guarding.ts';
import type { GatewayLimits } from './limits.ts';
import type { Needles } from './secrets/mask.ts';
import type { Names } from './names/names.ts';
import type { Novelty } from './guards/novelty.ts';
import type { Pace } from './bodies/pace.ts';
import type { Recorder } from './records.ts';
import type { RuleBook } from './rule-book.ts';
import type { UpstreamStore } from './upstream/upstream-store.ts';

/** Everything that the gateway holds for one attached sandbox. None of it is shared with another. */
export interface LiveSandbox {
  readonly sandbox: GatewaySandbox;
  /** the rules in force, and what is open under them */
  readonly book: RuleBook;
  /** `undefined`: an ordinary run, and none that is learned from */
  readonly learn: LearnState | undefined;
  /** `undefined`: nobody is ever asked */
  readonly asks: Asks | undefined;
  readonly names: Names;
  readonly dialer: Dialer;
  readonly recorder: Recorder;
  readonly leaves: LeafStore;
  readonly budgets: Budgets;
  readonly upstreams: UpstreamStore;
  /** names used below wildcards */
  readonly wildcards: Novelty;
  /** paths that registries did not know */
  readonly unknownPaths: Novelty;
  readonly limits: GatewayLimits;
  readonly clock: Clock;
  /** stand-ins of all credentials of the sandbox, as they are now: a login that is renewed gets new ones */
  readonly phantoms: () => readonly string[];
  /** forms of a real value to search answers for */
  readonly needlesOf: (value: string) => Needles;
  /** every open connection, so that they can be cut at once */
  readonly sockets: Set<Socket>;
  /** aborts when the sandbox is detached */
  readonly closing: AbortController;
  readonly counts: Counts;
  readonly pace: Pace;
  readonly credentialHash: (value: string) => string;
}

export interface Counts {
  exchange: number;
  openExchanges: number;
  /** what decoders of compressed requests may hold */
  decodingBytes: number;
  allowed: number;
  denied: number;
  bytesOut: number;
  bytesIn: number;
  /** content that is in memory as a whole */
  heldBytes: number;
}

/** Where a connection of the sandbox leads, as its address and port say. */
export interface Site {
  readonly live: LiveSandbox;
  readonly host: HostName;
  readonly port: number;
  readonly scheme: 'http' | 'https';
  /** rules that now decide about this host and port, those with a credential first; empty: denied */
  readonly rules: readonly NetworkRule[];
  /** why, where no rule now decides */
  readonly denied: DenyReason | undefined;
  /** Why the connection could not be relayed: that is all it is told, whatever it asks. On record already. */
  readonly failed?: Fault | undefined;
  /** who inside holds the connection, asked for alarms */
  readonly sender?: (() => Promise<Sender | undefined>) | undefined;
  /** called once for each request that was understood or refused */
  readonly onExchange: () => void;
}

export function usageOf({ sockets, counts, budgets }: LiveSandbox): GatewayUsage {
  const { allowed, denied, bytesOut, bytesIn } = counts;
  return { openConnections: sockets.size, allowed, denied, bytesOut, bytesIn, budgets: budgets.state() };
}
