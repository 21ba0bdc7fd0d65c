import { getDomain } from 'tldts';

import { canonicalHost } from '../../base/host.ts';
import type { HostPattern } from '../policy.ts';

/** Reads a host of a rule. A wildcard must stay below one owner's name: the public suffix list says where that begins. */

export type HostPatternReading = { readonly pattern: HostPattern } | { readonly fault: string };

/** `api.example.com` or `*.example.com`. Refused: addresses, URLs, ports, `*`, `*.com`, `*.co.uk`, `*.github.io`. */
export function readHostPattern(text: string): HostPatternReading {
  const wildcard = text.startsWith('*.');
  const host = canonicalHost(wildcard ? text.slice(2) : text);
  if (text === '*') {
    return { fault: 'a host of "*" would allow everything; name the hosts' };
  }
  if (host === undefined) {
    return { fault: faultOf(text) };
  }
  if (!wildcard) {
    return { pattern: { kind: 'exact', host } };
  }
  if (getDomain(host, { allowPrivateDomains: true }) === null) {
    return { fault: `*.${host} would allow names of many owners; a wildcard must be below a name that one owner registers` };
  }
  return { pattern: { kind: 'below', host } };
}

function faultOf(text: string): string {
  if (text.includes('://') || text.includes('/')) {
    return 'a host is a name such as api.example.com, without scheme and path';
  }
  if (/^[\d.]+$|^\[|^[0-9a-f]*:[0-9a-f:]*$/i.test(text)) {
    return 'a host is a name: no address can be reached from a sandbox (a rule may send a name to one with "upstream")';
  }
  if (/:\d+$/.test(text)) {
    return 'a host is a name without a port; write the port under "ports"';
  }
  if (text.includes('*')) {
    return 'a wildcard is only the whole first label: *.example.com';
  }
  return 'is not a host name; use a name such as api.example.com';
}
