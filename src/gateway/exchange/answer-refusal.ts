import { alarmOf, withSender } from '../secrets/alarm.ts';
import type { Content } from '../../policy/judging/decide.ts';
import { describeContent } from './content-refusal.ts';
import { explain, type Explanation } from './deny.ts';
import type { Exchange } from '../exchange.ts';
import type { Field } from '../http/fields.ts';
import type { LiveSandbox, Site } from '../live-sandbox.ts';
import { phantomSearch } from '../secrets/phantom-search.ts';
import type { Effect } from '../records.ts';
import { isDenial, type Refusal } from '../refusal.ts';
import { pathOf } from '../http/request-head.ts';
import { maskSecrets } from '../secrets/secret-search.ts';

/** Records a refusal and tells it to the caller, who may still be sending. */

/** How much of a refused upload is read, so that the caller comes to reading the answer. */
const usualDrain = { bytes: 1024 * 1024, ms: 2000 };
/** git reads no answer before it has sent its whole pack. */
const pushDrain = { bytes: 512 * 1024 * 1024, ms: 60_000 };

export async function answerRefusal(exchange: Exchange, site: Site, refusal: Refusal): Promise<void> {
  const { host, port, scheme, live } = site;
  const path = pathOf(exchange.target);
  if (isDenial(refusal.reason)) {
    live.counts.denied += 1;
  }
  if (refusal.isRecorded !== true && refusal.reason !== 'journal-unwritable') {
    await recordRefusal(refusalEffect(exchange, site, refusal), site, refusal);
  }
  if (exchange.hasResponded() || exchange.signal.aborted) {
    exchange.cut();
    return;
  }
  const asked = { scheme, host, port, method: exchange.method, path, target: exchange.target, fields: exchange.fields };
  const { status, fields, body, trailers } = refusal.isStub === true ? stubAnswer() : explain(refusal, asked);
  const isDrained = await drain(exchange, refusal.push === undefined ? usualDrain : pushDrain);
  const target = exchange.respond(status, isDrained ? fields : [...fields, ['connection', 'close']]);
  exchange.sendTrailers(trailers ?? []);
  target.end(exchange.method === 'HEAD' ? undefined : body);
}

function refusalEffect(exchange: Exchange, site: Site, { content, ask, rule }: Refusal): Effect {
  const bare = bareEffect(exchange, site, content);
  const asked = ask?.id === undefined ? {} : { ask: ask.id };
  return { ...bare, detail: { ...bare.detail, ...asked }, rule };
}

/** Says that it was taken and nothing more: what a program does next is what is to be learned. */
function stubAnswer(): Explanation {
  const body = Buffer.from('{}\n');
  const fields: readonly Field[] = [
    ['content-type', 'application/json'],
    ['content-length', String(body.length)],
    ['x-casemate-learn', 'noted down, not carried out'],
    ['cache-control', 'no-store'],
  ];
  return { status: 202, fields, body };
}

export async function recordRefusal(effect: Effect, site: Site, { reason, secret }: Refusal): Promise<void> {
  const alarm = alarmOf(reason);
  if (alarm === undefined) {
    await site.live.recorder.deny(effect, { reason });
    return;
  }
  site.live.sandbox.guarding?.onAlarm?.();
  const named = secret === undefined ? effect : { ...effect, detail: { ...effect.detail, secret } };
  await site.live.recorder.deny(await withSender(alarm, named, site), { reason, action: `alarm.${alarm}` });
}

async function drain({ body, expectsContinue }: Exchange, { bytes, ms }: typeof usualDrain): Promise<boolean> {
  if (body === undefined || body.readableEnded) {
    return true;
  }
  if (body.destroyed || (expectsContinue && bytes === usualDrain.bytes)) {
    return false;
  }
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const timer = setTimeout(() => resolve(false), ms);
  let left = bytes;
  body.on('data', (piece: Buffer) => {
    left -= piece.length;
    if (left < 0) {
      resolve(false);
    }
  });
  body.once('end', () => resolve(true));
  body.once('close', () => resolve(false));
  body.resume();
  const isWhole = await promise;
  clearTimeout(timer);
  return isWhole;
}

function maskKnown(text: string, { sandbox }: LiveSandbox): string {
  const needles = sandbox.guarding?.known.needlesFor(sandbox.id);
  return needles === undefined ? text : maskSecrets(text, needles);
}

/** An exchange as the journal names it. */
export function bareEffect(exchange: Exchange, { live, host, port }: Site, content?: Content): Effect {
  live.counts.exchange += 1;
  // The query is left out: it may hold what must not be written down.
  const path = maskKnown(maskSecrets(pathOf(exchange.target), phantomSearch(live.phantoms())), live).slice(0, 512);
  const asked = content === undefined ? {} : { asked: describeContent(content).slice(0, 512) };
  return {
    subject: `${host}:${port}`,
    detail: { exchange: live.counts.exchange, method: exchange.method.slice(0, 32), path, ...asked },
  };
}
