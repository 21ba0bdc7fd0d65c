import type { Socket } from 'node:net';

import type { NetworkRule } from '../policy/policy.ts';
import type { Held } from './guards/budgets.ts';
import { readOverride } from './upstream/destination.ts';
import type { Site } from './live-sandbox.ts';
import { reset } from './upstream/reset.ts';
import { splice } from './upstream/splice.ts';

/** A connection whose bytes are passed on as they are: recorded, counted against the budgets, cut when it must not go on. */
export interface Tunnel {
  readonly socket: Socket;
  readonly site: Site;
  /** aborts when the rules no longer allow it */
  readonly revoked: AbortSignal;
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

async function carry(rule: NetworkRule, { socket, site: { live, host, port }, revoked }: Tunnel, held: Held): Promise<Carried> {
  const override = rule.upstream === undefined ? undefined : readOverride(rule.upstream);
  const gone = new AbortController();
  // A reason of its own: the usual one is an error with a stack, made anew at the end of each tunnel.
  socket.once('close', () => gone.abort('caller-gone'));
  const spent = watch(socket, held);
  const ended = AbortSignal.any([revoked, live.closing.signal, spent.signal]);
  try {
    const dialled = await live.dialer.relay({ host, port, override }, AbortSignal.any([gone.signal, ended]));
    if (!dialled.ok || socket.destroyed || ended.aborted) {
      reset(socket);
      if (dialled.ok) {
        dialled.value.destroy();
      }
      const outcome = revoked.aborted ? 'rule-removed' : dialled.ok ? 'caller-gone' : dialled.fault.reason;
      return { bytesOut: 0, bytesIn: 0, outcome };
    }
    const spliced = await splice(socket, dialled.value, { idleMs: live.limits.idleMs, signal: ended });
    const outcome = revoked.aborted ? 'rule-removed' : spent.signal.aborted ? 'budget-exceeded' : spliced.outcome;
    return { ...spliced, outcome };
  } finally {
    spent.stop();
  }
}

/** How often a tunnel is measured: its bytes go by without being looked at. */
const everyMs = 200;

function watch(socket: Socket, held: Held): { readonly signal: AbortSignal; readonly stop: () => void } {
  const spent = new AbortController();
  const timer = setInterval(() => {
    if (held.sent(socket.bytesRead) !== undefined) {
      spent.abort();
    }
  }, everyMs);
  timer.unref();
  return { signal: spent.signal, stop: () => clearInterval(timer) };
}
