import { hasFunctions } from '../../policy/judging/functions.ts';
import type { NetworkRule } from '../../policy/policy.ts';
import type { Exchange } from '../exchange.ts';
import { foldedField } from '../http/fields.ts';
import { decodedName, foldedName, queryParts } from '../http/query.ts';
import { refuse, type Refusal } from '../refusal.ts';

/** Ways to make some servers use another method or path than the one that a rule judged. */

/** With the name of who made it in front, too: Envoy, Azure. */
const fields =
  /^x-(?:http-method|(?:http-)?(?:method|path|url|uri)-override|(?:[a-z]+-)?(?:original|rewrite|override|forwarded|unencoded)-(?:method|path|prefix|url|uri))$/;

/** Whether a header field does. */
export function isRewriting(name: string): boolean {
  return fields.test(foldedField(name));
}

/** Rails and its kind; Google (`$httpMethod`) and Salesforce (`_HttpMethod`); what takes the name of the header. */
const parameters: ReadonlySet<string> = new Set(['_method', '_httpmethod', 'x_http_method', 'x_http_method_override']);

/** Whether some server takes a parameter or a field of this clear name for the method. */
export function isMethodParameter(name: string): boolean {
  return parameters.has(foldedName(name));
}

export function asksForOther(value: string, method: string): boolean {
  return value.trim().toUpperCase() !== method;
}

/** A parameter that names the very method that was judged changes nothing. */
export function rewritingFault(rule: NetworkRule, { method, target }: Exchange): Refusal | undefined {
  if (!hasFunctions(rule) || !/method|%/i.test(target)) {
    return undefined;
  }
  const isOther = queryParts(target).some(
    ({ name, value }) => isMethodParameter(decodedName(name)) && asksForOther(decodedName(value), method),
  );
  return isOther
    ? refuse('function-not-allowed', 'the query asks for another method than the one that the rules have judged', rule.id)
    : undefined;
}
