import type { RequestLine } from './request-line.ts';
import type { HostName } from '../../base/host.ts';
import { isBatchAllowed, refusedUpdates, type GitPush, type LfsBatch } from './git-content.ts';
import { readRequest, viewOf, type ContentKind } from './function-view.ts';
import { matchesHost, specificity } from '../matching/host-pattern.ts';
import { refusedCalls, type McpCalls } from './mcp.ts';
import type { Decision, McpAllowance, NetworkRule } from '../policy.ts';

/** Judges destinations and requests. Total: every input gets a verdict, and whatever no rule allows is denied. */

/**
 * The rules that decide about a host and port: those that match both and say most about the host. An exact name beats a
 * wildcard, a longer wildcard a shorter one; rules that say the same are united. Empty: nothing is allowed there.
 */
export function decisiveRules(rules: readonly NetworkRule[], host: HostName, port: number): readonly NetworkRule[] {
  const matching = rules.filter((rule) => rule.ports.includes(port) && matchesHost(rule.host, host));
  const most = Math.max(...matching.map((rule) => specificity(rule.host)));
  return matching.filter((rule) => specificity(rule.host) === most);
}

/** Whether a connection to `host:port` may exist at all. */
export function decideDestination(rules: readonly NetworkRule[], host: HostName, port: number): Decision {
  const [rule] = decisiveRules(rules, host, port);
  if (rule !== undefined) {
    return { verdict: 'allow', rule };
  }
  const near = rules.find((candidate) => matchesHost(candidate.host, host));
  return { verdict: 'deny', rule: near, reason: near === undefined ? 'host-not-allowed' : 'port-not-allowed' };
}

/** A decision, or what the content of the request must be read for first: `rules` would allow some contents. */
export type RequestDecision =
  | Decision
  | { readonly verdict: 'inspect'; readonly content: ContentKind; readonly rules: readonly NetworkRule[] };

export type { ContentKind } from './function-view.ts';

/**
 * Whether a request may pass. `rules` are the `decisiveRules` of its destination; they are united: one that allows is
 * enough. A rule without functions allows everything. A path without a canonical form matches `/**` alone, which allows
 * every path however it is read (npm asks for `/@scope%2fname`).
 */
export function decideRequest(rules: readonly NetworkRule[], request: RequestLine): RequestDecision {
  const asked = readRequest(request);
  const views = rules.map((rule) => ({ rule, view: viewOf(rule, asked) }));
  const allowing = views.find(({ view }) => view === 'allow');
  if (allowing !== undefined) {
    return { verdict: 'allow', rule: allowing.rule };
  }
  const content = views.map(({ view }) => view).find((view) => view !== 'allow' && view !== 'deny');
  if (content !== undefined) {
    return { verdict: 'inspect', content, rules: views.filter(({ view }) => view === content).map(({ rule }) => rule) };
  }
  const [first] = rules;
  return { verdict: 'deny', rule: first, reason: first === undefined ? 'host-not-allowed' : 'function-not-allowed' };
}

/** What the content asks for, once it has been read. */
export type Content = GitPush | LfsBatch | McpCalls;

/** The judgement on contents that `decideRequest` wanted read, by the rules it named. */
export function decideContent(rules: readonly NetworkRule[], content: Content): Decision {
  const [rule] = rules;
  if (rule !== undefined && isContentAllowed(rules, content)) {
    return { verdict: 'allow', rule };
  }
  return { verdict: 'deny', rule, reason: rule === undefined ? 'host-not-allowed' : 'content-not-allowed' };
}

function isContentAllowed(rules: readonly NetworkRule[], content: Content): boolean {
  switch (content.kind) {
    case 'git-push': {
      return refusedUpdates(rules, content).length === 0;
    }
    case 'lfs-batch': {
      return isBatchAllowed(rules, content);
    }
    case 'mcp': {
      return refusedCalls(mcpOf(rules), content).length === 0;
    }
  }
}

export function mcpOf(rules: readonly NetworkRule[]): readonly McpAllowance[] {
  return rules.flatMap(({ mcp }) => mcp ?? []);
}

export interface Asked {
  readonly host: HostName;
  readonly port: number;
  /** `undefined`, as the path then: a connection, which its destination alone decides */
  readonly method: string | undefined;
  readonly path: string | undefined;
}

/** What was asked, whether a request or a connection. */
export function decideAsked(rules: readonly NetworkRule[], { host, port, method, path }: Asked): RequestDecision {
  return method === undefined || path === undefined
    ? decideDestination(rules, host, port)
    : decideExchange(rules, host, port, { method, path });
}

/** Destination and request in one judgement. */
export function decideExchange(
  rules: readonly NetworkRule[],
  host: HostName,
  port: number,
  request: RequestLine,
): RequestDecision {
  const destination = decideDestination(rules, host, port);
  return destination.verdict === 'deny' ? destination : decideRequest(decisiveRules(rules, host, port), request);
}
