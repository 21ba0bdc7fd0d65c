import { getDomain } from 'tldts';

import type { DeniedRequest } from './grant-rule.ts';

/** What a person should weigh before allowing a request. It speaks only of the request as it is shown and guesses nothing. */
export interface RiskFacts extends DeniedRequest {
  readonly scheme: 'http' | 'https' | 'tcp';
  /** with the query */
  readonly target: string | undefined;
  readonly credential: string | undefined;
  readonly contentBytes: number | undefined;
  readonly contentType: string | undefined;
}

const reading = new Set(['GET', 'HEAD', 'OPTIONS']);

export function risksOf(facts: RiskFacts): readonly string[] {
  const { host, scheme, method, credential } = facts;
  return [
    ...(credential === undefined ? [] : [`your credential ${credential} goes with it`]),
    ...(method === undefined || reading.has(method) ? [] : [`${method} can change things there, and carries data out`]),
    ...(scheme === 'tcp' ? ['what goes over this connection is neither read nor recorded'] : []),
    ...(scheme === 'http' ? ['it goes in the clear: others on the way can read and change it'] : []),
    ...contentRisk(facts),
    ...queryRisk(facts),
    ...nameRisks(host),
  ];
}

function contentRisk({ contentBytes, contentType, method }: RiskFacts): readonly string[] {
  if (contentType === undefined || method === undefined) {
    return [];
  }
  const size = contentBytes === undefined ? 'of unknown length' : `of ${contentBytes} ${contentBytes === 1 ? 'byte' : 'bytes'}`;
  return [`it has content ${size}${contentType === '' ? '' : ` (${contentType})`}, which is not shown here`];
}

function queryRisk({ target }: RiskFacts): readonly string[] {
  const query = target?.split('?').slice(1).join('?') ?? '';
  return query.length > 64 ? [`its query carries ${query.length} characters`] : [];
}

function nameRisks(host: string): readonly string[] {
  const labels = host.split('.');
  const owner = getDomain(host, { allowPrivateDomains: true });
  return [
    ...(labels.some((label) => label.startsWith('xn--')) ? ['the name has letters that may look like others'] : []),
    ...(labels.some((label) => label.length > 40) ? ['the name is long enough to carry data out by itself'] : []),
    ...(owner !== null && owner !== getDomain(host, { allowPrivateDomains: false })
      ? ['anybody can have a name beside this one: it is a place where many publish']
      : []),
  ];
}
