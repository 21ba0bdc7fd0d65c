import { outdated } from '../fault.ts';
import { createHttp1Upstream } from './upstream-http1.ts';
import { createHttp2Upstream } from './upstream-http2.ts';
import type { Upstream, UpstreamOptions } from './upstream-request.ts';

/** Speaks HTTP/2 where the upstream offers it and the caller does, and else HTTP/1.1. */
export function createUpstream(options: UpstreamOptions): Upstream {
  const http1 = createHttp1Upstream(options);
  if (!options.secure) {
    return http1;
  }
  const http2 = createHttp2Upstream(options);
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
