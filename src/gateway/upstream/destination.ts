import { isIP } from 'node:net';
import { canonicalHost, type HostName } from '../../base/host.ts';

/** Where an exchange goes: the name that the sandbox asked for, and what the rule says to dial instead of it. */
export interface Destination {
  readonly host: HostName;
  readonly port: number;
  readonly override: Override | undefined;
}

export interface Override {
  readonly tls: boolean;
  /** name or address, without brackets */
  readonly host: string;
  readonly port: number;
  readonly isLoopback: boolean;
}

/** Reads `NetworkRule.upstream`: `http://`, `https://` or `tcp://` with a host and maybe a port; `undefined` if it is none. */
export function readOverride(upstream: string): Override | undefined {
  const url = URL.canParse(upstream) ? new URL(upstream) : undefined;
  if (url === undefined || !['http:', 'https:', 'tcp:'].includes(url.protocol) || url.hostname === '') {
    return undefined;
  }
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
  const port = url.port === '' ? (url.protocol === 'http:' ? 80 : 443) : Number(url.port);
  const isLoopback = host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
  return isIP(host) === 0 && canonicalHost(host) === undefined
    ? undefined
    : { tls: url.protocol === 'https:', host, port, isLoopback };
}
