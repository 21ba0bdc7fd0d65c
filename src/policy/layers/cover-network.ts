import { canonicalHost, type HostName } from '../../base/host.ts';
import { functionsOf, hasFunctions, type Functions } from '../judging/functions.ts';
import { areFunctionsWithin } from './cover-functions.ts';
import { decisiveRules } from '../judging/decide.ts';
import { matchesHost } from '../matching/host-pattern.ts';
import type { NetworkRule } from '../policy.ts';

/**
 * Tells exactly whether one set of rules allows no more than another, by checking one host of every kind that the two sets can
 * tell apart.
 */

/** What rules together say about one host and port. */
interface Grant {
  readonly credential: string | undefined;
  readonly upstream: string | undefined;
  /** of each rule; united */
  readonly functions: readonly Functions[];
}

export interface Excess {
  readonly rule: NetworkRule;
  readonly host: HostName;
  readonly port: number;
  readonly what: 'destination' | 'functions' | 'credential' | 'upstream';
}

/** The first thing that `lower` allows and `higher` does not. */
export function firstExcess(lower: readonly NetworkRule[], higher: readonly NetworkRule[]): Excess | undefined {
  // The same rules on both sides give the same answer: a hundred hosts and ports of one rule are compared once.
  const compared = new Set<string>();
  for (const host of representatives([...lower, ...higher])) {
    for (const port of portsFor(lower, host)) {
      const below = decisiveRules(lower, host, port);
      const above = decisiveRules(higher, host, port);
      const key = JSON.stringify([below.map(({ id }) => id), above.map(({ id }) => id)]);
      const what = compared.has(key) ? undefined : excessOf(grantOf(below), grantOf(above));
      compared.add(key);
      if (what !== undefined && below[0] !== undefined) {
        return { rule: below[0], host, port, what };
      }
    }
  }
  return undefined;
}

/** Two rules that decide about the same host and port and disagree on where it leads or who is asking there. */
export function firstContradiction(rules: readonly NetworkRule[]): readonly [NetworkRule, NetworkRule] | undefined {
  for (const host of representatives(rules)) {
    for (const port of portsFor(rules, host)) {
      const [first, ...others] = decisiveRules(rules, host, port);
      const other = others.find((rule) => rule.credential !== first?.credential || rule.upstream !== first?.upstream);
      if (first !== undefined && other !== undefined) {
        return [first, other];
      }
    }
  }
  return undefined;
}

/** Fills in what a rule leaves out from the rules above that decide about the same hosts, where those are of one mind. */
export function inheritFrom(rules: readonly NetworkRule[], above: readonly NetworkRule[]): readonly NetworkRule[] {
  return rules.map((rule) => {
    const [host] = representatives([rule]);
    const grants = host === undefined ? [] : rule.ports.map((port) => grantOf(decisiveRules(above, host, port)));
    const [first] = grants;
    if (
      first === undefined ||
      grants.some((grant) => grant?.credential !== first.credential || grant?.upstream !== first.upstream)
    ) {
      return rule;
    }
    const functions = hasFunctions(rule) || rule.ports.length > 1 ? rule : (united(first.functions) ?? rule);
    const { credential, upstream } = first;
    return {
      ...rule,
      credential: rule.credential ?? credential,
      upstream: rule.upstream ?? upstream,
      ...functionsOf(functions),
    };
  });
}

/** Several rules in one; `undefined` where one rule could not say the same. */
function united(functions: readonly Functions[]): Functions | undefined {
  const [first] = functions;
  if (functions.length === 1 || !functions.every(hasFunctions)) {
    return functions.length === 1 ? first : { http: undefined };
  }
  return functions.some(({ git, mcp, registry }) => git !== undefined || mcp !== undefined || registry !== undefined)
    ? undefined
    : { http: functions.flatMap(({ http }) => http ?? []) };
}

function portsFor(rules: readonly NetworkRule[], host: HostName): ReadonlySet<number> {
  return new Set(rules.filter((rule) => matchesHost(rule.host, host)).flatMap((rule) => rule.ports));
}

function excessOf(lower: Grant | undefined, higher: Grant | undefined): Excess['what'] | undefined {
  if (lower === undefined) {
    return undefined;
  }
  if (higher === undefined) {
    return 'destination';
  }
  if (lower.credential !== higher.credential) {
    return 'credential';
  }
  if (lower.upstream !== higher.upstream) {
    return 'upstream';
  }
  return areFunctionsWithin(lower.functions, higher.functions) ? undefined : 'functions';
}

function grantOf(decisive: readonly NetworkRule[]): Grant | undefined {
  const [rule] = decisive;
  if (rule === undefined) {
    return undefined;
  }
  return { credential: rule.credential, upstream: rule.upstream, functions: decisive.map(functionsOf) };
}

/**
 * One host for each kind that the rules can tell apart: every exact name, and under every wildcard a name that no rule
 * mentions. Any other host is decided like one of these.
 */
function representatives(rules: readonly NetworkRule[]): readonly HostName[] {
  const exact = new Set(rules.flatMap(({ host }) => (host.kind === 'exact' ? [host.host] : [])));
  const below = new Set(rules.flatMap(({ host }) => (host.kind === 'below' ? [host.host] : [])));
  return [...exact, ...[...below].flatMap((host) => unmentioned(host, exact))];
}

function unmentioned(parent: HostName, exact: ReadonlySet<HostName>): readonly HostName[] {
  for (let label = '_'; ; label += '_') {
    const host = canonicalHost(`${label}.${parent}`);
    if (host === undefined || !exact.has(host)) {
      return host === undefined ? [] : [host];
    }
  }
}
