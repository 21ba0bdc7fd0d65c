import type { HostName } from '../base/host.ts';
import { canonicalPath } from './canonical-path.ts';
import { matchesHost, specificity } from './host-pattern.ts';
import { compileGlob, matchPath, type PathGlob } from './match-path.ts';
import type { Decision, HttpAllowance, NetworkRule } from './policy.ts';

/** The judgement on destinations and requests. Total: every input gets a verdict, and what no rule allows is denied. */

export interface RequestLine {
  /** as on the wire; methods are case-sensitive (RFC 9110 section 9.1) */
  readonly method: string;
  /** request target in origin form, query included or not */
  readonly path: string;
}

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

/**
 * Whether a request may pass. `rules` are the `decisiveRules` of its destination; they are united: one that allows is
 * enough. A rule without functions allows everything. A path without a canonical form matches `/**` alone, which allows
 * every path however it is read (npm asks for `/@scope%2fname`).
 */
export function decideRequest(rules: readonly NetworkRule[], request: RequestLine): Decision {
  const path = canonicalPath(request.path);
  const rule = rules.find(
    ({ http }) => http === undefined || http.some((one) => isMethodOf(one, request.method) && isPathOf(one, path, request)),
  );
  if (rule !== undefined) {
    return { verdict: 'allow', rule };
  }
  const [first] = rules;
  return { verdict: 'deny', rule: first, reason: first === undefined ? 'host-not-allowed' : 'function-not-allowed' };
}

/** Destination and request in one judgement. */
export function decideExchange(rules: readonly NetworkRule[], host: HostName, port: number, request: RequestLine): Decision {
  const destination = decideDestination(rules, host, port);
  return destination.verdict === 'deny' ? destination : decideRequest(decisiveRules(rules, host, port), request);
}

const compiled = new WeakMap<HttpAllowance, PathGlob>();

function isMethodOf({ methods }: HttpAllowance, method: string): boolean {
  return methods === undefined || methods.includes(method);
}

function isPathOf(allowance: HttpAllowance, path: string | undefined, request: RequestLine): boolean {
  if (path === undefined) {
    return allowance.path === '/**' && request.path.startsWith('/');
  }
  const glob = compiled.get(allowance) ?? compileGlob(allowance.path);
  compiled.set(allowance, glob);
  return matchPath(glob, path);
}
