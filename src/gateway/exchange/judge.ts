import type { BoundCredential } from '../../credentials/credential.ts';
import { decideContent, decideRequest, type Content, type ContentKind } from '../../policy/judging/decide.ts';
import { formatHostPattern } from '../../policy/matching/host-pattern.ts';
import type { NetworkRule } from '../../policy/policy.ts';
import { readOverride, type Destination, type Override } from '../upstream/destination.ts';
import type { Exchange } from '../exchange.ts';
import type { Fault } from '../fault.ts';
import { contentRefusal } from './content-refusal.ts';
import type { Site } from '../live-sandbox.ts';
import { refuse, type Refusal, type RefusalReason } from '../refusal.ts';
import { readHead, type RequestHead } from '../http/request-head.ts';
import { rewritingFault } from './rewriting.ts';

/** Decides about one request before any part of it is carried out. A fault while deciding denies. */
export interface Plan {
  readonly head: RequestHead;
  readonly rule: NetworkRule;
  readonly destination: Destination;
  readonly secure: boolean;
  /** the credential that the rule binds here */
  readonly credential: BoundCredential | undefined;
  /** what the content must be read for before anything goes out; `undefined`: it does not matter, or was judged */
  readonly inspect?: ContentKind | undefined;
  /** what it asks for, where that decided */
  readonly content?: Content | undefined;
}

export type Judgement = { readonly ok: true; readonly plan: Plan } | { readonly ok: false; readonly refusal: Refusal };

/** What was read of the content, where that decides. */
export interface Known {
  readonly content: Content;
  readonly capabilities?: readonly string[] | undefined;
}

export function judge(exchange: Exchange, site: Site, known?: Known): Judgement {
  const read = readHead(exchange, site);
  if (!read.ok) {
    return read;
  }
  const { head } = read;
  if (site.failed !== undefined) {
    return { ok: false, refusal: failure(site.failed, site) };
  }
  const decision = decideRequest(site.rules, { method: exchange.method, path: head.target });
  if (decision.verdict === 'inspect') {
    return judgeContent({ site, head, ...decision }, known);
  }
  if (decision.verdict === 'deny') {
    return {
      ok: false,
      refusal: refuse(
        site.rules.length === 0 ? deniedHost(site) : decision.reason,
        sentence(decision.reason, site),
        decision.rule?.id,
      ),
    };
  }
  const refusal = readingFault(decision.rule, exchange) ?? rewritingFault(decision.rule, exchange);
  return refusal === undefined ? planFor({ site, head, rule: decision.rule }) : { ok: false, refusal };
}

/** Nothing was relayed, and nothing is tried again: whoever asks anew comes by a connection of its own. */
function failure({ reason, message }: Fault, { rules: [rule] }: Site): Refusal {
  return { ...refuse(reason, message, rule?.id), isRecorded: true, fields: [['connection', 'close']] };
}

/** Reading has no content (RFC 9110 section 9.3.1): what is sent along with it is said to the registry (SEC-15). */
function readingFault({ id, registry, http }: NetworkRule, { body }: Exchange): Refusal | undefined {
  return registry !== undefined && http === undefined && body !== undefined
    ? refuse('function-not-allowed', 'packages are read without sending content', id)
    : undefined;
}

interface Dependent {
  readonly site: Site;
  readonly head: RequestHead;
  readonly content: ContentKind;
  /** rules that would allow some contents */
  readonly rules: readonly NetworkRule[];
}

function judgeContent({ site, head, content, rules }: Dependent, known: Known | undefined): Judgement {
  const [first] = rules;
  if (known?.content.kind !== content || first === undefined) {
    const judgement = first === undefined ? undefined : planFor({ site, head, rule: first });
    const refusal = refuse('function-not-allowed', sentence('function-not-allowed', site));
    return judgement?.ok === true
      ? { ok: true, plan: { ...judgement.plan, inspect: content } }
      : (judgement ?? { ok: false, refusal });
  }
  const decision = decideContent(rules, known.content);
  if (decision.verdict === 'deny') {
    return { ok: false, refusal: contentRefusal(rules, known) };
  }
  const judgement = planFor({ site, head, rule: decision.rule });
  return judgement.ok ? { ok: true, plan: { ...judgement.plan, content: known.content } } : judgement;
}

interface Allowed {
  readonly site: Site;
  readonly head: RequestHead;
  readonly rule: NetworkRule;
}

function planFor({ site, head, rule }: Allowed): Judgement {
  const override = rule.upstream === undefined ? undefined : readOverride(rule.upstream);
  const credential = rule.credential === undefined ? undefined : site.live.sandbox.credentials.get(rule.credential);
  const secure = override?.tls ?? site.scheme === 'https';
  const refusal =
    ruleFault(rule, { override, credential }) ??
    cleartextFault(site, { credential, secure, override }) ??
    nameFault(rule, site, head.path);
  if (refusal !== undefined) {
    return { ok: false, refusal: { ...refusal, rule: rule.id } };
  }
  const destination: Destination = { host: site.host, port: site.port, override };
  return { ok: true, plan: { head, rule, destination, secure, credential } };
}

interface Found {
  readonly override: Override | undefined;
  readonly credential: BoundCredential | undefined;
}

/** What a rule names must be there; nothing takes its place. */
function ruleFault(rule: NetworkRule, { override, credential }: Found): Refusal | undefined {
  if (rule.upstream !== undefined && override === undefined) {
    return refuse('unresolvable', `the upstream of rule ${rule.id} cannot be read`);
  }
  const isMissing = rule.credential !== undefined && credential === undefined;
  return isMissing
    ? refuse('credential-unavailable', `the credential "${rule.credential}" is not bound to this sandbox`)
    : undefined;
}

/** The caller's own leg stays inside the host; what counts is the leg that leaves it. */
function cleartextFault(
  { host }: Site,
  { credential, secure, override }: Found & { readonly secure: boolean },
): Refusal | undefined {
  const isInTheClear = credential !== undefined && !secure && override?.isLoopback !== true;
  return isInTheClear ? refuse('credential-needs-tls', `${host} needs a credential, which is only sent over TLS`) : undefined;
}

/** Names are messages, too: below a wildcard, and where a registry is asked for what it does not have. */
function nameFault(rule: NetworkRule, { live, host, port }: Site, path: string): Refusal | undefined {
  if (!isNameAdmitted(rule, { live, host })) {
    return refuse('too-many-names', `too many different names were used below ${formatHostPattern(rule.host)}`);
  }
  return rule.registry === undefined || live.unknownPaths.isOpen(`${host}:${port}`, path)
    ? undefined
    : refuse('too-many-names', `too much was asked of ${host} that is not there`);
}

export function isNameAdmitted({ host: pattern }: NetworkRule, { live, host }: Pick<Site, 'live' | 'host'>): boolean {
  return pattern.kind === 'exact' || live.wildcards.admit(pattern.host, host.slice(0, -pattern.host.length - 1));
}

function deniedHost(site: Site): RefusalReason {
  return site.denied ?? 'host-not-allowed';
}

function sentence(reason: RefusalReason, { host, port, denied }: Site): string {
  if (reason === 'function-not-allowed') {
    return `the rules for ${host} do not allow this method and path`;
  }
  return denied === 'port-not-allowed' ? `the rules for ${host} do not allow port ${port}` : `no rule allows ${host}`;
}
