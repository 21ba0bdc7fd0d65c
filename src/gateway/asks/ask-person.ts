import { createStop, type StopSignal } from '../../base/stop.ts';
import { onceRule } from '../../policy/proposing/grant-rule.ts';
import type { AskAnswer, AskView, Question } from './question.ts';
import type { Exchange } from '../exchange.ts';
import { valuesOf } from '../http/fields.ts';
import type { LiveSandbox, Site } from '../live-sandbox.ts';
import { phantomSearch } from '../secrets/phantom-search.ts';
import { maskSecrets } from '../secrets/secret-search.ts';
import type { Effect } from '../records.ts';
import type { Refusal, RefusalReason } from '../refusal.ts';
import { pathOf } from '../http/request-head.ts';

/** Puts a denial before a person where the policy says so, and says how the exchange continues. */
export type Settled =
  /** judge again, at this site */
  { readonly site: Site } | { readonly refusal: Refusal };

/** Only what a rule could allow is asked about: no fault of a credential, an address or a message. */
export function isAskable(reason: RefusalReason): boolean {
  return reason === 'host-not-allowed' || reason === 'port-not-allowed' || reason === 'function-not-allowed';
}

export async function askAboutRequest(exchange: Exchange, site: Site, refusal: Refusal): Promise<Settled> {
  const { live } = site;
  const answer = await raise(live, requestQuestion(exchange, site, refusal), exchange.signal);
  if (answer.kind === 'denied') {
    return { refusal: { ...refusal, ask: { why: answer.why, id: answer.id } } };
  }
  return { site: answer.kind === 'once' ? onceSite(site, answer.id) : site };
}

/** A connection on a port where nothing is known of what it carries. `undefined`: it stays denied. */
export async function askAboutConnection(site: Site, signal: StopSignal): Promise<Site | undefined> {
  const { host, port } = site;
  const question: Question = {
    host,
    port,
    scheme: 'tcp',
    method: undefined,
    path: undefined,
    target: undefined,
    reason: site.denied ?? 'host-not-allowed',
    contentBytes: undefined,
    contentType: undefined,
    program: undefined,
  };
  const answer = await raise(site.live, question, signal);
  if (answer.kind === 'denied') {
    return undefined;
  }
  return answer.kind === 'once' ? onceSite(site, answer.id) : site;
}

async function raise(live: LiveSandbox, question: Question, signal: StopSignal): Promise<AskAnswer> {
  const { asks, sandbox } = live;
  if (asks === undefined) {
    return { kind: 'denied', why: 'off', id: undefined };
  }
  const either = createStop();
  const signals = [signal, live.closing.signal];
  const give = (): void => either.abort();
  for (const one of signals) {
    one.addEventListener('abort', give, { once: true });
  }
  if (signals.some(({ aborted }) => aborted)) {
    give();
  }
  try {
    return await asks.raise(sandbox.id, question, either.signal);
  } finally {
    signals.forEach((one) => one.removeEventListener('abort', give));
  }
}

/** The same place under one rule that holds for this exchange and no other. */
function onceSite({ live, host, port, scheme, sender, onExchange }: Site, id: string): Site {
  const rule = onceRule(live.book.now(), { host, port, method: undefined, path: undefined }, `approval:${id}`);
  return { live, host, port, scheme, sender, onExchange, rules: rule === undefined ? [] : [rule], denied: undefined };
}

/** Longer targets and fields are cut where they are shown; what is left out is counted. */
const shownLength = 2048;

function requestQuestion(exchange: Exchange, { live, host, port, scheme }: Site, { reason }: Refusal): Question {
  const masked = (text: string): string => cut(maskSecrets(text, phantomSearch(live.phantoms())));
  const length = Number(valuesOf(exchange.fields, 'content-length')[0]);
  return {
    host,
    port,
    scheme,
    method: exchange.method.slice(0, 64),
    path: masked(pathOf(exchange.target)),
    target: masked(exchange.target),
    reason: reason === 'port-not-allowed' || reason === 'function-not-allowed' ? reason : 'host-not-allowed',
    contentBytes: exchange.body === undefined || !Number.isSafeInteger(length) ? undefined : length,
    contentType: exchange.body === undefined ? undefined : (valuesOf(exchange.fields, 'content-type')[0] ?? '').slice(0, 128),
    program: valuesOf(exchange.fields, 'user-agent')[0]?.slice(0, 128),
  };
}

function cut(text: string): string {
  return text.length > shownLength ? `${text.slice(0, shownLength)}[${text.length - shownLength} more]` : text;
}

/** What the journal says of it: never the query. */
export function askEffect({ host, port, method, path, id }: AskView): Effect {
  const request = method === undefined ? {} : { method: method.slice(0, 32), path: (path ?? '').slice(0, 512) };
  return { subject: `${host}:${port}`, detail: { ask: id, ...request } };
}
