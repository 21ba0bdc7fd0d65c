import { outdated } from '../fault.ts';
import { createTlsSessions } from '../tls/tls-sessions.ts';
import { createHttp1Upstream } from './upstream-http1.ts';
import { createHttp2Upstream } from './upstream-http2.ts';
import type { Upstream, UpstreamOptions } from './upstream-request.ts';

/** Speaks HTTP/2 if both the upstream and the caller do, and otherwise HTTP/1.1. */
export function createUpstream(options: UpstreamOptions): Upstream {
  if (!options.secure) {
    return createHttp1Upstream(options);
  }
  const resumed = { ...options, sessions: createTlsSessions() };
  const [http1, http2] = [createHttp1Upstream(resumed), createHttp2Upstream(resumed)];
  return {
    async request(request) {
      const session = request.prefersHttp2 ? await http2.session(request.signal) : undefined;
      if (session === undefined) {
        return http1.request(request);
      }
      if (!session.ok) {
        return session;
      }
      if (session.value.kind === 'http1') {
        http1.adopt(session.value.socket);
        return http1.request(request);
      }
      return request.isCurrent?.() === false ? outdated() : session.value.request(request);
    },
    upgrade: http1.upgrade,
    retire: () => http2.retire(),
    close() {
      http1.close();
      http2.close();
    },
  };
}
