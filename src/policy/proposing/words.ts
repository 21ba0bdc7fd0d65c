import { visible } from '../../base/text.ts';
import { formatFunctions } from '../judging/format-functions.ts';
import { formatHostPattern } from '../matching/host-pattern.ts';
import type { NetworkRule } from '../policy.ts';

/** What a rule would allow, as a sentence for the person who decides about it. Safe to print. */
export function ruleWords(rule: NetworkRule): string {
  const { host, ports, credential, upstream } = rule;
  const place = ports.map((port) => `${formatHostPattern(host)}:${port}`).join(' and ');
  const functions = formatFunctions(rule)?.map(visible).join('; ') ?? 'everything, uploads included';
  const identity = credential === undefined ? 'without a credential' : `with the credential ${visible(credential)}`;
  const way = upstream === undefined ? '' : `, dialled at ${visible(upstream)}`;
  return `${place} would be allowed ${functions}, ${identity}${way}`;
}
