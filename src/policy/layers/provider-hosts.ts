import type { Facts } from '../facts.ts';
import { readHostPattern } from '../matching/parse-host-pattern.ts';
import type { HostPattern } from '../policy.ts';
import { policyProviders } from '../providers.ts';

/** The hosts a known API's key may go to: those of the provider, and those where an agent of ours needs that key. */
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
