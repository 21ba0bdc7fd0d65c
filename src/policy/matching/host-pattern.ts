import type { HostName } from '../../base/host.ts';
import type { HostPattern } from '../policy.ts';

/** Host patterns of rules: matching and showing. Light on purpose: the gateway loads it for every connection. */

/** A `below` pattern matches every name under its host, at any depth, and never the host itself. */
export function matchesHost(pattern: HostPattern, host: HostName): boolean {
  return pattern.kind === 'exact' ? pattern.host === host : host.endsWith(`.${pattern.host}`);
}

/** Whether every name that `inner` matches is one of those of `outer`. */
export function covers(outer: HostPattern, inner: HostPattern): boolean {
  return (
    (inner.kind === 'exact' && matchesHost(outer, inner.host)) ||
    (outer.kind === 'below' && inner.kind === 'below' && (outer.host === inner.host || matchesHost(outer, inner.host)))
  );
}

/** As people write it: `example.com` or `*.example.com`. */
export function formatHostPattern(pattern: HostPattern): string {
  return pattern.kind === 'exact' ? pattern.host : `*.${pattern.host}`;
}

/** How much a pattern says: an exact name says more than any wildcard, a longer wildcard more than a shorter one. */
export function specificity(pattern: HostPattern): number {
  return pattern.kind === 'exact' ? Number.MAX_SAFE_INTEGER : pattern.host.length;
}
