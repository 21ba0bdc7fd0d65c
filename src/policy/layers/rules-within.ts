import type { HostName } from '../../base/host.ts';
import { decisiveRules } from '../judging/decide.ts';
import { formatHostPattern, specificity } from '../matching/host-pattern.ts';
import type { HostPattern, NetworkRule } from '../policy.ts';

/**
 * Cuts rules down to a list of hosts: at each of these hosts exactly what the rules allow there, and nothing elsewhere. `unmet`:
 * entries of the list for which no rule allows anything.
 */
export function rulesWithin(
  rules: readonly NetworkRule[],
  hosts: readonly HostPattern[],
): { readonly rules: readonly NetworkRule[]; readonly unmet: readonly HostPattern[] } {
  const parts = hosts.map((pattern) => ({
    pattern,
    rules: pattern.kind === 'exact' ? atHost(rules, pattern.host) : belowHost(rules, pattern),
  }));
  const all = new Map(
    parts.flatMap((part) => part.rules).map((rule) => [JSON.stringify([rule.id, rule.host, rule.ports]), rule]),
  );
  return {
    rules: [...all.values()],
    unmet: parts.filter((part) => part.rules.length === 0).map(({ pattern }) => pattern),
  };
}

/** Those that decide there, and about that host alone: one that another outdoes would allow what it does not. */
function atHost(rules: readonly NetworkRule[], host: HostName): readonly NetworkRule[] {
  return byPort(rules, (port) => decisiveRules(rules, host, port)).map((rule) => about(rule, { kind: 'exact', host }));
}

/** Everything about hosts below it as it is, and of wider rules that one which decides where nothing nearer does. */
function belowHost(rules: readonly NetworkRule[], pattern: HostPattern): readonly NetworkRule[] {
  const inner = rules.filter(({ host }) => host.host.endsWith(`.${pattern.host}`));
  const outer = rules.filter(({ host }) => host.kind === 'below' && `.${pattern.host}`.endsWith(`.${host.host}`));
  const nearest = byPort(outer, (port) => {
    const there = outer.filter(({ ports }) => ports.includes(port));
    const most = Math.max(...there.map(({ host }) => specificity(host)));
    return there.filter(({ host }) => specificity(host) === most);
  });
  return [...inner, ...nearest.map((rule) => about(rule, pattern))];
}

/** The rules that `decide` names for each port, each with those ports alone. */
function byPort(rules: readonly NetworkRule[], decide: (port: number) => readonly NetworkRule[]): readonly NetworkRule[] {
  const ports = [...new Set(rules.flatMap((rule) => rule.ports))];
  const decided = ports.map((port) => ({ port, by: decide(port) }));
  return rules.flatMap((rule) => {
    const own = decided.filter(({ by }) => by.includes(rule)).map(({ port }) => port);
    return own.length === 0 ? [] : [own.length === rule.ports.length ? rule : { ...rule, ports: own }];
  });
}

function about(rule: NetworkRule, host: HostPattern): NetworkRule {
  const isSame = rule.host.kind === host.kind && rule.host.host === host.host;
  return isSame ? rule : { ...rule, id: `${rule.id}@${formatHostPattern(host)}`, host };
}
