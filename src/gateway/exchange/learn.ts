import type { LearnState } from './learn-state.ts';
import { readGitRequest } from '../../policy/judging/git-request.ts';
import { mayBeGranted, onceRule } from '../../policy/proposing/grant-rule.ts';
import type { Exchange } from '../exchange.ts';
import type { Field } from '../http/fields.ts';
import type { Site } from '../live-sandbox.ts';
import { refuse, type Refusal } from '../refusal.ts';
import { pathOf } from '../http/request-head.ts';

/**
 * What happens to a request in learning mode. Reads go out without content and with few header fields, all of them together
 * within a bound; everything else is answered here. A path can carry data out: that is why the number is bounded, and why the
 * command that learns keeps secrets out of the sandbox.
 */
export type Learned =
  /** goes out as this, at this site */
  { readonly exchange: Exchange; readonly site: Site } | { readonly refusal: Refusal };

/** All that may leave in heads of one sandbox, and in one of them. */
export const learnLimits = { bytes: 256 * 1024, targetBytes: 2048, contentBytes: 64 * 1024 } as const;

const keptFields = new Set([
  'accept',
  'accept-encoding',
  'user-agent',
  'range',
  'if-none-match',
  'if-modified-since',
  'git-protocol',
]);
const fieldBytes = 200;

export function learnFrom(exchange: Exchange, site: Site, state: LearnState): Learned {
  const { host, port } = site;
  const { method } = exchange;
  const request = { host, port, method, path: pathOf(exchange.target) };
  if (!mayBeGranted(site.live.book.now(), request, state.bound)) {
    return { refusal: stub('the organisation does not allow this', 'learn:beyond-bound') };
  }
  const kind = kindOf(exchange);
  const { mode } = state.setting;
  if (mode === 'closed' || (mode === 'reads' && kind === 'write')) {
    return { refusal: stub('this is only noted down', kind === 'write' ? 'learn:write' : 'learn:read') };
  }
  const reduced = mode === 'writes' ? exchange : reduce(exchange, kind);
  const bytes = bytesOf(reduced, site, kind);
  if (reduced.target.length > learnLimits.targetBytes || state.spentBytes + bytes > learnLimits.bytes) {
    return { refusal: stub('more than may leave while it is learned what this needs', 'learn:too-much') };
  }
  state.spentBytes += bytes;
  return { exchange: reduced, site: learnSite(site, kind === 'write' ? 'learn:write' : 'learn:read') };
}

/** All of it that a server elsewhere gets to see; its name is looked up outside, so it counts as well. */
function bytesOf({ target, fields }: Exchange, { host }: Site, kind: Kind): number {
  const content = kind === 'git' ? lengthOf(fields) : 0;
  return host.length + target.length + content + fields.reduce((sum, [name, value]) => sum + name.length + value.length, 0);
}

function lengthOf(fields: readonly Field[]): number {
  return Number(fields.find(([name]) => name === 'content-length')?.[1]);
}

/** A connection whose bytes are not read: it is noted down and goes nowhere. */
export const learnedConnection = 'learn:connection';

/** `git`: a read although it is a POST (clone and fetch). What switches protocols is no read: it opens a channel. */
type Kind = 'read' | 'git' | 'write';

function kindOf({ method, target, fields, body }: Exchange): Kind {
  if (fields.some(([name]) => name === 'upgrade')) {
    return 'write';
  }
  if (method === 'GET' || method === 'HEAD') {
    return 'read';
  }
  const length = lengthOf(fields);
  const isSmall = body !== undefined && Number.isSafeInteger(length) && length <= learnLimits.contentBytes;
  return isSmall && readGitRequest({ method, path: target })?.kind === 'read' ? 'git' : 'write';
}

/** Nothing goes along that a server does not need to answer a read. */
function reduce(exchange: Exchange, kind: Kind): Exchange {
  const isKept = ([name, value]: Field): boolean =>
    (keptFields.has(name) && value.length <= fieldBytes) ||
    (kind === 'git' && ['content-type', 'content-length', 'content-encoding'].includes(name));
  const fields = exchange.fields.filter((field) => isKept(field) || field[0] === 'host');
  return { ...exchange, fields, body: kind === 'git' ? exchange.body : undefined, trailers: () => [] };
}

function learnSite({ live, host, port, scheme, sender, onExchange }: Site, id: string): Site {
  const rule = onceRule(live.book.now(), { host, port, method: undefined, path: undefined }, id);
  const rules = rule === undefined ? [] : [{ ...rule, credential: undefined }];
  return { live, host, port, scheme, sender, onExchange, rules, denied: undefined };
}

function stub(message: string, rule: string): Refusal {
  return { ...refuse('learned-only', message, rule), isStub: true };
}
