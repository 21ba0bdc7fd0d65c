import { injectionsOf } from '../../credentials/injections.ts';
import { placementFiles, type Placed, type PlacedFile } from '../../credentials/placements.ts';
import { providerOf } from '../../credentials/providers.ts';
import type { Plan, PlannedCredential } from '../plan/plan.ts';

/** The files in a plan's home in which tools find phantoms, for the hosts that its rules bind credentials to. */
export function placedFiles(
  { credentials, network }: Pick<Plan, 'credentials' | 'network'>,
  phantomOf: (credential: string) => string | undefined,
): readonly PlacedFile[] {
  return placementFiles(credentials.flatMap((credential) => placed(credential, network, phantomOf(credential.rule.name))));
}

function placed({ rule }: PlannedCredential, { rules }: Plan['network'], phantom: string | undefined): readonly Placed[] {
  const { places } = providerOf(rule);
  if (places.length === 0 || phantom === undefined) {
    return [];
  }
  const at = injectionsOf(rule);
  const sites = rules
    .filter(({ credential, host }) => credential === rule.name && host.kind === 'exact')
    .flatMap(({ host, ports }) => ports.map((port) => ({ host: host.host, port })));
  const unique = [...new Map(sites.map((site) => [`${site.host}:${site.port}`, site])).values()];
  const userAt = (host: string): string | undefined => {
    const injection = at(host);
    return injection.kind === 'basic' ? injection.user : undefined;
  };
  return [{ places, phantom, userAt, sites: unique }];
}
