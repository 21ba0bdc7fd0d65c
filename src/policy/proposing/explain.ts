import type { HostName } from '../../base/host.ts';
import { visible } from '../../base/text.ts';
import { decideDestination, decideRequest, decisiveRules } from '../judging/decide.ts';
import type { RequestLine } from '../judging/request-line.ts';
import { formatFunctions } from '../judging/format-functions.ts';
import { formatHostPattern, matchesHost } from '../matching/host-pattern.ts';
import { missingRule } from './missing-rule.ts';
import { formatOrigin } from '../written/policy-layer.ts';
import type { DenyReason, NetworkRule, Policy } from '../policy.ts';
import type { Origin } from '../origin.ts';
import { denyWords } from './deny-words.ts';

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
  /** `inspect`: the rules allow some contents of this request and not others */
  readonly verdict: 'allow' | 'deny' | 'inspect';
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

export function explain(policy: Pick<Policy, 'network' | 'origins'>, { host, port, request }: Question): Explanation {
  const decisive = decisiveRules(policy.network, host, port);
  const destination = decideDestination(policy.network, host, port);
  const decision = destination.verdict === 'deny' || request === undefined ? destination : decideRequest(decisive, request);
  const rule = decision.verdict === 'inspect' ? decision.rules[0] : decision.rule;
  const show = (one: NetworkRule): ExplainedRule => explainRule(one, policy);
  const overruled = policy.network.filter(
    (one) => one.ports.includes(port) && matchesHost(one.host, host) && !decisive.includes(one),
  );
  return {
    host,
    port,
    request,
    verdict: decision.verdict,
    reason: decision.verdict === 'deny' ? decision.reason : undefined,
    rule: rule === undefined ? undefined : show(rule),
    others: decisive.filter((other) => other !== rule).map(show),
    overruled: overruled.map(show),
  };
}

function explainRule(rule: NetworkRule, { origins }: Pick<Policy, 'origins'>): ExplainedRule {
  const { id, host, ports, credential, upstream, origin } = rule;
  const listed = origin.layer === 'preset' ? origins[`presets.${origin.source}`] : undefined;
  const place = listed === undefined ? formatOrigin(origin) : `preset ${origin.source}, from ${formatOrigin(listed)}`;
  return { id, host: formatHostPattern(host), ports, credential, upstream, functions: formatFunctions(rule), origin, place };
}

const verdicts: Readonly<Record<Explanation['verdict'], string>> = {
  allow: 'allowed',
  deny: 'denied',
  inspect: 'allowed for some contents',
};

/** The explanation as lines for a terminal. */
export function explainLines(explanation: Explanation): readonly string[] {
  const { host, port, request, verdict, reason, rule, others, overruled } = explanation;
  const asked = request === undefined ? '' : ` ${visible(request.method)} ${visible(request.path)}`;
  return [
    `${verdicts[verdict]}  ${host}:${port}${asked}`,
    ...(reason === undefined ? [] : [`  because     ${denyWords[reason]}`]),
    ...(rule === undefined ? [] : ruleLines(rule, verdict === 'deny' ? 'nearest rule' : 'rule')),
    ...others.flatMap((other) => ruleLines(other, 'with')),
    ...overruled.flatMap((other) => ruleLines(other, 'overruled')),
    ...(verdict === 'deny' ? [hintOf(explanation)] : []),
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
  const rule = missingRule({ host, port, request: reason === 'function-not-allowed' ? request : undefined });
  return rule === undefined ? '  no rule can say exactly this' : `  to allow it, add under "network":  - ${visible(rule)}`;
}
