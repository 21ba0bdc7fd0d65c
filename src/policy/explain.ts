import type { HostName } from '../base/host.ts';
import { visible } from '../base/text.ts';
import { decideDestination, decideRequest, decisiveRules, type RequestLine } from './decide.ts';
import { formatHostPattern, matchesHost } from './host-pattern.ts';
import { formatOrigin } from './policy-layer.ts';
import type { DenyReason, NetworkRule, Origin, Policy } from './policy.ts';
import { formatAllowance } from './project-grants.ts';

/** Which rule of which file decides about a destination or a request, and why. Says what `decide` does; decides nothing. */

export interface Question {
  readonly host: HostName;
  readonly port: number;
  readonly request?: RequestLine | undefined;
}

export interface Explanation {
  readonly host: HostName;
  readonly port: number;
  readonly request: RequestLine | undefined;
  readonly verdict: 'allow' | 'deny';
  readonly reason: DenyReason | undefined;
  /** the rule that decided; for a denial the one that came nearest */
  readonly rule: ExplainedRule | undefined;
  /** further rules that decide about the same host and port */
  readonly others: readonly ExplainedRule[];
  /** rules for the host that say less about it and are therefore not asked */
  readonly overruled: readonly ExplainedRule[];
}

export interface ExplainedRule {
  readonly id: string;
  readonly host: string;
  readonly ports: readonly number[];
  readonly credential: string | undefined;
  readonly upstream: string | undefined;
  /** `undefined`: everything */
  readonly functions: readonly string[] | undefined;
  readonly origin: Origin;
  /** where the rule is written, or its preset is listed: `path:line:column` */
  readonly place: string;
}

export function explain(policy: Policy, { host, port, request }: Question): Explanation {
  const decisive = decisiveRules(policy.network, host, port);
  const destination = decideDestination(policy.network, host, port);
  const decision = destination.verdict === 'deny' || request === undefined ? destination : decideRequest(decisive, request);
  const show = (rule: NetworkRule): ExplainedRule => explainRule(rule, policy);
  const overruled = policy.network.filter(
    (rule) => rule.ports.includes(port) && matchesHost(rule.host, host) && !decisive.includes(rule),
  );
  return {
    host,
    port,
    request,
    verdict: decision.verdict,
    reason: decision.verdict === 'deny' ? decision.reason : undefined,
    rule: decision.rule === undefined ? undefined : show(decision.rule),
    others: decisive.filter((rule) => rule !== decision.rule).map(show),
    overruled: overruled.map(show),
  };
}

function explainRule(rule: NetworkRule, { origins }: Policy): ExplainedRule {
  const { id, host, ports, credential, upstream, http, origin } = rule;
  const listed = origin.layer === 'preset' ? origins[`presets.${origin.source}`] : undefined;
  const place = listed === undefined ? formatOrigin(origin) : `preset ${origin.source}, from ${formatOrigin(listed)}`;
  return { id, host: formatHostPattern(host), ports, credential, upstream, functions: http?.map(formatAllowance), origin, place };
}

const reasons: Readonly<Record<DenyReason, string>> = {
  'host-not-allowed': 'no rule names this host',
  'port-not-allowed': 'a rule names this host, but not this port',
  'function-not-allowed': 'a rule names this host and port, but not this method and path',
};

/** The explanation as lines for a terminal. */
export function explainLines(explanation: Explanation): readonly string[] {
  const { host, port, request, verdict, reason, rule, others, overruled } = explanation;
  const asked = request === undefined ? '' : ` ${visible(request.method)} ${visible(request.path)}`;
  return [
    `${verdict === 'allow' ? 'allowed' : 'denied'}  ${host}:${port}${asked}`,
    ...(reason === undefined ? [] : [`  because     ${reasons[reason]}`]),
    ...(rule === undefined ? [] : ruleLines(rule, verdict === 'allow' ? 'rule' : 'nearest rule')),
    ...others.flatMap((other) => ruleLines(other, 'with')),
    ...overruled.flatMap((other) => ruleLines(other, 'overruled')),
    ...(verdict === 'allow' ? [] : [hintOf(explanation)]),
  ];
}

function ruleLines(rule: ExplainedRule, label: string): readonly string[] {
  const { id, place, host, ports, credential, upstream, functions } = rule;
  return [
    `  ${label.padEnd(14)}${visible(id)}  (${place})`,
    `  ${''.padEnd(14)}${host} on port ${ports.join(', ')}`,
    ...(functions ?? ['everything']).map((one) => `  ${''.padEnd(14)}  ${visible(one)}`),
    ...(credential === undefined ? [] : [`  ${''.padEnd(14)}with the credential ${credential}`]),
    ...(upstream === undefined ? [] : [`  ${''.padEnd(14)}dialled at ${visible(upstream)}`]),
  ];
}

function hintOf({ host, port, request, reason }: Explanation): string {
  const ports = port === 443 ? '' : `, ports: [${port}]`;
  const allow =
    reason === 'function-not-allowed' && request !== undefined
      ? `, allow: ["${visible(request.method)} ${visible(request.path.split('?', 1)[0] ?? '')}"]`
      : '';
  return `  to allow it, add under "network":  - { host: ${host}${ports}${allow} }`;
}
