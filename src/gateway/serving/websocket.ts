import { createHash } from 'node:crypto';
import type { Socket } from 'node:net';

import { withSender } from '../secrets/alarm.ts';
import { answerRefusal } from '../exchange/answer-refusal.ts';
import { type BodyStep, chain } from '../bodies/body-steps.ts';
import type { Exchange } from '../exchange.ts';
import { faulty } from '../fault.ts';
import { flat, tokensOf, valuesOf, type Field } from '../http/fields.ts';
import type { Site } from '../live-sandbox.ts';
import { tellRejected } from '../exchange/local-answer.ts';
import { createMask, maskFields } from '../secrets/mask.ts';
import { pump } from '../bodies/pump.ts';
import { guardStop, searchOutward, stoppedBy, upstreamRequest } from '../exchange/outgoing-request.ts';
import { permit } from '../exchange/permit.ts';
import { answeredFields, passOn, readable } from '../exchange/relay.ts';
import { finish, type Run } from '../exchange/run.ts';
import { refuse, type Refusal } from '../refusal.ts';
import type { UpgradeAnswer } from '../upstream/upstream-request.ts';
import { createFrameRelay, FrameFault } from '../bodies/websocket-frames.ts';

/**
 * WebSocket (RFC 6455), the one protocol a connection may switch to. Frames are relayed only after the upstream has
 * proved with its answer that it understood the switch; anything else is answered as a plain response.
 */
export interface Upgrade {
  /** its content, if any, is not read */
  readonly exchange: Exchange;
  /** bytes have come behind the request already */
  readonly hasMore: () => boolean;
  /** the connection, for frames: paused, and nothing else reads it */
  readonly take: () => Socket;
}

/** Never rejects. */
export async function relayUpgrade(upgrade: Upgrade, site: Site): Promise<void> {
  const { exchange } = upgrade;
  site.onExchange();
  site.live.counts.openExchanges += 1;
  try {
    const isBusy = site.live.counts.openExchanges > site.live.limits.exchanges;
    const refusal = isBusy ? refuse('too-busy', 'too many requests at the same time') : await attempt(upgrade, exchange, site);
    if (refusal !== undefined) {
      await answerRefusal(exchange, site, refusal);
    }
  } catch {
    exchange.cut();
  } finally {
    site.live.counts.openExchanges -= 1;
  }
}

async function attempt(upgrade: Upgrade, exchange: Exchange, site: Site): Promise<Refusal | undefined> {
  const permitted = await permit(exchange, site, () => handshakeFault(exchange, upgrade));
  if (!permitted.ok) {
    return permitted.refusal;
  }
  try {
    return await carryOut(upgrade, permitted.run, site);
  } catch (thrown) {
    // Permission is on record, so the end has to be, whatever breaks.
    finish(permitted.run, 'gateway-fault');
    throw thrown;
  }
}

async function carryOut(upgrade: Upgrade, run: Run, site: Site): Promise<Refusal | undefined> {
  const { plan } = run;
  const asked = upstreamRequest(run);
  const fields: Field[] = [
    // An extension changes what frames say: compressed ones could not be searched.
    ...asked.fields.filter(([name]) => name !== 'sec-websocket-extensions'),
    ['connection', 'Upgrade'],
    ['upgrade', 'websocket'],
  ];
  const answer = await site.live.upstreams
    .get({ destination: plan.destination, secure: plan.secure })
    .upgrade({ ...asked, fields });
  return answer.ok ? settle(upgrade, run, answer.value) : failed(run, answer.fault);
}

function failed(run: Run, fault: { readonly reason: Refusal['reason']; readonly message: string }): Refusal {
  finish(run, run.exchange.signal.aborted ? 'caller-gone' : fault.reason);
  return { ...refuse(fault.reason, fault.message, run.plan.rule.id), isRecorded: true };
}

function handshakeFault({ method, fields }: Exchange, { hasMore }: Upgrade): Refusal | undefined {
  const upgrades = tokensOf(fields, 'upgrade');
  if (upgrades.length !== 1 || upgrades[0] !== 'websocket') {
    return refuse('upgrade-not-allowed', 'a connection may only be switched to WebSocket');
  }
  const [key = '', ...more] = valuesOf(fields, 'sec-websocket-key');
  const hasContent = fields.some(([name, value]) => name === 'transfer-encoding' || (name === 'content-length' && value !== '0'));
  const isWhole = method === 'GET' && !hasContent && !hasMore() && more.length === 0;
  const isValid = /^[A-Za-z0-9+/]{22}==$/.test(key) && valuesOf(fields, 'sec-websocket-version').join() === '13';
  return isWhole && isValid ? undefined : refuse('malformed-request', 'the WebSocket handshake is not well formed');
}

async function settle(upgrade: Upgrade, run: Run, answer: UpgradeAnswer): Promise<Refusal | undefined> {
  if (answer.kind === 'answered') {
    tellRejected(run.plan, answer.answer.status, run.outgoing);
    const plain = readable({ ok: true, value: answer.answer }, run);
    if (!plain.ok) {
      return failed(run, plain.fault);
    }
    await passOn(run, plain.value);
    return undefined;
  }
  if (!isProved(run.exchange.fields, answer.fields)) {
    answer.socket.destroy();
    return failed(run, faulty('bad-answer', `${run.site.host} switched protocols without understanding what was asked`).fault);
  }
  return await join(upgrade, run, answer);
}

/** RFC 6455 section 4.1: the accept value answers our key, the subprotocol was offered, and no extension was. */
function isProved(asked: readonly Field[], answered: readonly Field[]): boolean {
  const key = valuesOf(asked, 'sec-websocket-key')[0] ?? '';
  const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
  const offered = new Set(tokensOf(asked, 'sec-websocket-protocol'));
  return (
    valuesOf(answered, 'sec-websocket-accept').join() === accept &&
    tokensOf(answered, 'upgrade').join() === 'websocket' &&
    tokensOf(answered, 'connection').includes('upgrade') &&
    tokensOf(answered, 'sec-websocket-extensions').length === 0 &&
    tokensOf(answered, 'sec-websocket-protocol').every((protocol) => offered.has(protocol))
  );
}

async function join(
  { take }: Upgrade,
  run: Run,
  answer: UpgradeAnswer & { readonly kind: 'switched' },
): Promise<Refusal | undefined> {
  const { site, needles, sent, received, stop } = run;
  const outer = answer.socket;
  const kept = answeredFields(answer.fields, run);
  const lines = flat([['Connection', 'Upgrade'], ['Upgrade', 'websocket'], ...maskFields(kept, needles)]);
  const socket = take();
  socket.write(headOf(lines));
  const guard = guardStop(run);
  const look = (): BodyStep | undefined =>
    chain([needles.sought.length === 0 ? undefined : createMask(needles), run.guard.messages(guard)]);
  const cut = (): void => {
    outer.destroy();
    socket.destroy();
  };
  stop.signal.addEventListener('abort', cut, { once: true });
  outer.setTimeout(site.live.limits.idleMs, cut);
  const inwards = pump(outer, socket, {
    pace: site.live.pace,
    step: createFrameRelay({ sender: 'server', step: look }),
    onBytes: (count) => add(received, count),
  });
  // It was held since the switch.
  outer.resume();
  const outwards = pump(socket, outer, {
    pace: site.live.pace,
    step: createFrameRelay({ sender: 'client', step: () => searchOutward(run) }),
    onBytes(count) {
      add(sent, count);
      run.guard.sent(sent.bytes, guard);
    },
  });
  socket.resume();
  // What breaks one way ends both; an end of one way lets the other come to its own.
  await Promise.all([inwards, outwards]).catch(cut);
  const [inward, outward] = await Promise.allSettled([inwards, outwards]);
  cut();
  site.live.counts.bytesIn += received.bytes;
  site.live.counts.bytesOut += sent.bytes;
  const stopped = stoppedBy(run);
  if (stopped !== undefined) {
    return stopped;
  }
  finish(run, outcomeOf(run, [inward, outward]), { status: 101 });
  if (isMisplaced(run)) {
    // Recorded once more, as the alarm that it is.
    const reason = 'phantom-misplaced';
    site.live.sandbox.guarding?.onAlarm?.();
    await site.live.recorder.deny(await withSender(reason, run.effect, site), { reason, action: `alarm.${reason}` });
  }
  return undefined;
}

function outcomeOf(run: Run, ways: readonly PromiseSettledResult<void>[]): string {
  if (isMisplaced(run)) {
    return 'phantom-misplaced';
  }
  const isUnreadable = ways.some((way) => way.status === 'rejected' && way.reason instanceof FrameFault);
  return isUnreadable ? 'frames-unreadable' : ways.some(({ status }) => status === 'fulfilled') ? 'ok' : 'cut';
}

/** At the host that owns the key a phantom is only made unreadable. */
function isMisplaced({ sent, plan }: Run): boolean {
  return sent.misplaced && plan.credential === undefined;
}

function add(counter: { bytes: number }, count: number): void {
  counter.bytes += count;
}

function headOf(lines: readonly string[]): string {
  const rows = Array.from(
    { length: lines.length / 2 },
    (_, index) => `${lines[index * 2] ?? ''}: ${lines[index * 2 + 1] ?? ''}\r\n`,
  );
  return `HTTP/1.1 101 Switching Protocols\r\n${rows.join('')}\r\n`;
}
