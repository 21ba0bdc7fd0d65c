import type { Facts } from '../facts.ts';
import { readHostPattern } from '../matching/parse-host-pattern.ts';
import type { HostPattern } from '../policy.ts';
import { policyProviders } from '../providers.ts';

/** The hosts that the key of a known API may go to: the provider's own, and those where one of our agents needs that key. */
export function providerHosts(provider: string, facts: Facts): readonly HostPattern[] {
  const ofAgents = Object.values(facts.agents)
    .filter((agent) => agent.provider === provider)
    .flatMap((agent) => agent.hosts.filter((host) => host.credential).map((host) => host.host));
  const row = policyProviders[provider];
  const ofRegistry = row?.registry === undefined ? [] : facts.registries[row.registry].map(({ host }) => host);
  return [...(row?.hosts ?? []), ...ofRegistry, ...ofAgents].flatMap((host) => {
    const reading = readHostPattern(host);
    return 'pattern' in reading ? [reading.pattern] : [];
  });
}
