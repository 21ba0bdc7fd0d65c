import { isIP } from 'node:net';

import { canonicalHost } from '../../base/host.ts';

/**
 * Reads the address that a rule dials instead of its host: `http://HOST[:PORT]`, `https://HOST[:PORT]`, or `tcp://HOST:PORT` for
 * protocols other than HTTP. `undefined`: it is no such address, or holds more than one.
 */
export function readUpstream(written: string): string | undefined {
  const isTcp = /^tcp:\/\//i.test(written);
  // A bare connection has no port of its own; for the rest it is read as a web address, so that its host is in one form, too.
  const web = isTcp ? written.replace(/^tcp/i, 'http') : written;
  const url = URL.canParse(web) ? new URL(web) : undefined;
  if (url === undefined || !isPlaceAlone(url, web) || (isTcp && !/:\d+\/?$/.test(written))) {
    return undefined;
  }
  return isTcp ? `tcp://${url.hostname}:${url.port === '' ? '80' : url.port}` : url.origin;
}

function isPlaceAlone({ protocol, hostname, pathname, search, hash }: URL, written: string): boolean {
  const isWeb = protocol === 'http:' || protocol === 'https:';
  const isHost = isIP(hostname.replace(/^\[(.*)\]$/, '$1')) !== 0 || canonicalHost(hostname) !== undefined;
  return isWeb && isHost && pathname === '/' && search === '' && hash === '' && !written.includes('@');
}
