import { createUpstream } from './upstream.ts';
import type { Upstream, UpstreamOptions } from './upstream-request.ts';

/** The upstreams of one sandbox by destination, so that their connections are reused. Bounded in number. */
export interface UpstreamStore {
  readonly get: (options: Pick<UpstreamOptions, 'destination' | 'secure'>) => Upstream;
  readonly close: () => void;
}

export function createUpstreamStore(shared: Omit<UpstreamOptions, 'destination' | 'secure'>, kept = 256): UpstreamStore {
  const upstreams = new Map<string, Upstream>();
  let last: { readonly key: string; readonly upstream: Upstream } | undefined;
  return {
    get({ destination, secure }) {
      const { host, port, override } = destination;
      const key = `${secure} ${host} ${port} ${override?.tls} ${override?.host} ${override?.port}`;
      if (last?.key === key) {
        return last.upstream;
      }
      const upstream = upstreams.get(key) ?? createUpstream({ destination, secure, ...shared });
      // Set anew: the map's order is the order of use.
      upstreams.delete(key);
      upstreams.set(key, upstream);
      last = { key, upstream };
      const [oldest] = upstreams;
      if (upstreams.size > kept && oldest !== undefined) {
        upstreams.delete(oldest[0]);
        oldest[1].retire();
      }
      return upstream;
    },
    close() {
      for (const upstream of upstreams.values()) {
        upstream.close();
      }
      upstreams.clear();
      last = undefined;
    },
  };
}
