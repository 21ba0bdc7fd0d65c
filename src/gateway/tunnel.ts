import type { Stop } from '../base/stop.ts';
import type { Socket } from 'node:net';

import type { NetworkRule } from '../policy/policy.ts';
import type { Attempt, Fault } from './fault.ts';
import type { Held } from './guards/budgets.ts';
import { readOverride } from './upstream/destination.ts';
import type { Site } from './live-sandbox.ts';
import { reset } from './upstream/reset.ts';
import { splice } from './upstream/splice.ts';
import type { Wire } from './upstream/wire.ts';

/** A connection whose bytes are relayed unchanged: recorded, counted against the budgets, and cut when it may not continue. */
export interface Tunnel {
  readonly socket: Socket;
  readonly site: Site;
  /** ends it */
  readonly stop: Stop;
  /** Told to the caller, whose bytes are all still unread, that there is no connection; default: it is reset. */
  readonly explain?: ((fault: Fault) => void) | undefined;
}

export async function relayTunnel(rule: NetworkRule, tunnel: Tunnel): Promise<void> {
  const { socket, site } = tunnel;
  const { live, host, port } = site;
  live.counts.exchange += 1;
  const effect = { subject: `${host}:${port}`, rule: rule.id, detail: { exchange: live.counts.exchange } };
  const held = live.budgets.take({ credential: undefined, bytes: 0, usesModel: false });
  if ('budget' in held) {
    live.counts.denied += 1;
    await live.recorder.deny(effect, { reason: 'budget-exceeded' });
    reset(socket);
    return;
  }
  if (!(await live.recorder.open(effect))) {
    held.settle({ requests: 1 });
    reset(socket);
    return;
  }
  live.counts.allowed += 1;
  const startedMs = live.clock.monotonicMs();
  const { bytesOut, bytesIn, outcome } = await carry(rule, tunnel, held);
  held.settle({ requests: 1, bytesOut });
  live.counts.bytesOut += bytesOut;
  live.counts.bytesIn += bytesIn;
  live.recorder.end(effect, outcome, { bytesOut, bytesIn, ms: Math.round(live.clock.monotonicMs() - startedMs) });
}

interface Carried {
  readonly bytesOut: number;
  readonly bytesIn: number;
  readonly outcome: string;
}

async function carry(rule: NetworkRule, tunnel: Tunnel, held: Held): Promise<Carried> {
  const { socket, site, stop, explain = () => reset(socket) } = tunnel;
  const { live, host, port } = site;
  const override = rule.upstream === undefined ? undefined : readOverride(rule.upstream);
  const { signal } = stop;
  let isDialling = true;
  socket.once('close', () => {
    // Once it stands, what the caller has sent still goes on: `splice` lets each direction end by itself.
    if (isDialling || live.closing.signal.aborted) {
      end(stop, 'caller-gone');
    }
  });
  if (socket.destroyed) {
    end(stop, 'caller-gone');
  }
  const unwatch = held.isUnbounded === true ? undefined : watch(socket, held, () => end(stop, 'budget-exceeded'));
  try {
    const dialled = await live.dialer.relay({ host, port, override }, signal);
    isDialling = false;
    if (socket.destroyed || signal.aborted) {
      return unused(dialled, tunnel);
    }
    if (!dialled.ok) {
      explain(dialled.fault);
      return { bytesOut: 0, bytesIn: 0, outcome: dialled.fault.reason };
    }
    const spliced = await splice(socket, dialled.value, { idleMs: live.limits.idleMs, signal });
    return { ...spliced, outcome: isOwn(signal.reason) ? signal.reason : spliced.outcome };
  } finally {
    unwatch?.();
  }
}

/** It ended while it was dialled. */
function unused(dialled: Attempt<Socket | Wire>, { socket, stop: { signal } }: Tunnel): Carried {
  reset(socket);
  if (dialled.ok) {
    dialled.value.destroy();
  }
  const fault = dialled.ok ? 'caller-gone' : dialled.fault.reason;
  return { bytesOut: 0, bytesIn: 0, outcome: signal.reason === 'rule-removed' ? signal.reason : fault };
}

/** Why a tunnel was ended here; said as the reason of its signal, for the usual one is an error with a stack. */
export type TunnelEnd = 'rule-removed' | 'budget-exceeded' | 'caller-gone';

export function end(stop: Stop, why: TunnelEnd): void {
  stop.abort(why);
}

function isOwn(reason: unknown): reason is 'rule-removed' | 'budget-exceeded' {
  return reason === 'rule-removed' || reason === 'budget-exceeded';
}

/** How often a tunnel is measured: its bytes go by without being looked at. */
const everyMs = 200;

function watch(socket: Socket, held: Held, spent: () => void): () => void {
  const timer = setInterval(() => {
    if (held.sent(socket.bytesRead) !== undefined) {
      spent();
    }
  }, everyMs);
  timer.unref();
  return () => clearInterval(timer);
}
