import { parseHost } from '../../src/base/host.ts';
import type { NetworkRule } from '../../src/policy/policy.ts';

/** A network rule for one host or, written `*.example.com`, for all below one; port 443 unless told otherwise. */
export function rule(host: string, options: Partial<Omit<NetworkRule, 'host'>> = {}): NetworkRule {
  const below = host.startsWith('*.');
  return {
    id: `test:${host}`,
    host: { kind: below ? 'below' : 'exact', host: parseHost(below ? host.slice(2) : host) },
    ports: [443],
    credential: undefined,
    http: undefined,
    upstream: undefined,
    origin: { layer: 'project', source: 'test' },
    ...options,
  };
}
