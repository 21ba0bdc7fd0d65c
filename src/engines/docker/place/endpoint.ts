import { isIP } from 'node:net';
import { join } from 'node:path';

import { CasemateError } from '../../../base/errors.ts';
import { visible } from '../../../base/text.ts';

/**
 * Where an engine answers, read from the settings of its own client: `unix://`, `tcp://` with TLS, `ssh://`. No other way is
 * used, and never an engine without TLS: whoever reaches it has root on its host.
 */
export type Endpoint =
  | { readonly kind: 'unix'; readonly path: string }
  | { readonly kind: 'tls'; readonly host: string; readonly port: number; readonly files: TlsFiles }
  | SshEndpoint;

/** Paths of PEM files. Without `ca` the host's authorities count; without `cert` and `key` the caller shows none. */
export interface TlsFiles {
  readonly ca?: string | undefined;
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
}

export interface SshEndpoint {
  readonly kind: 'ssh';
  readonly host: string;
  readonly user?: string | undefined;
  readonly port?: number | undefined;
  /** of the engine there; `undefined`: where its client finds it */
  readonly socket?: string | undefined;
  /** file of a key, absolute */
  readonly identity?: string | undefined;
  /** the client there, which hands its standard streams on to the engine */
  readonly client: 'docker' | 'podman';
}

export interface AddressOptions {
  /** what names the address, for what is said of it */
  readonly source: string;
  readonly client: 'docker' | 'podman';
  /** `undefined`: TLS was not asked for */
  readonly tls?: TlsFiles | undefined;
  readonly identity?: string | undefined;
}

const tlsPort = 2376;

/** Pure. Throws `UNSUPPORTED` for an address that is not spoken to, with why. */
export function endpointOf(address: string, options: AddressOptions): Endpoint {
  const path = /^unix:\/\/(\/.+)$/.exec(address)?.[1];
  if (path !== undefined) {
    return { kind: 'unix', path };
  }
  const url = parsed(address);
  if (url?.protocol === 'tcp:') {
    return tlsEndpoint(url, options);
  }
  if (url?.protocol === 'ssh:') {
    return sshEndpoint(url, options);
  }
  throw unsupported(
    `${options.source} is ${visible(address)}, which is no address of an engine`,
    'Write unix:///PATH, tcp://HOST:2376 (with TLS) or ssh://USER@HOST.',
  );
}

/** As it is shown and as it could be written. */
export function addressOf(endpoint: Endpoint): string {
  if (endpoint.kind === 'unix') {
    return `unix://${endpoint.path}`;
  }
  const host = isIP(endpoint.host) === 6 ? `[${endpoint.host}]` : endpoint.host;
  if (endpoint.kind === 'tls') {
    return `tcp://${host}:${endpoint.port}`;
  }
  const { user, port, socket } = endpoint;
  return `ssh://${user === undefined ? '' : `${user}@`}${host}${port === undefined ? '' : `:${port}`}${socket ?? ''}`;
}

function parsed(address: string): URL | undefined {
  // Of a scheme that is not known to it, Node takes the host as it stands.
  return URL.canParse(address) ? new URL(address) : undefined;
}

function tlsEndpoint(url: URL, { source, tls, client }: AddressOptions): Endpoint {
  const host = hostOf(url, source);
  requireNothingElse(url, source, /^\/?$/);
  if (url.username !== '') {
    throw unsupported(`${source} names a user`, 'Write tcp://HOST:PORT.');
  }
  if (tls === undefined) {
    throw unsupported(
      `${source} is ${shown(url)} without TLS, so whoever reaches that port is root there`,
      client === 'podman'
        ? 'Use ssh://.'
        : 'Give the engine certificates and set DOCKER_TLS_VERIFY=1 and DOCKER_CERT_PATH, or use ssh://.',
    );
  }
  return { kind: 'tls', host, port: url.port === '' ? tlsPort : Number(url.port), files: tls };
}

function sshEndpoint(url: URL, { source, client, identity }: AddressOptions): Endpoint {
  const host = hostOf(url, source);
  requireNothingElse(url, source, /^(?:\/|(?:\/[\w.@+-]+)*)$/);
  const user = decodeURIComponent(url.username);
  // What begins with "-" would be an option of ssh.
  if (user !== '' && !/^\w[\w.@\\-]*$/.test(user)) {
    throw unsupported(`${source} names the user ${visible(user)}`, 'Write ssh://USER@HOST.');
  }
  const socket = url.pathname === '' || url.pathname === '/' ? undefined : url.pathname;
  return {
    kind: 'ssh',
    host,
    user: user === '' ? undefined : user,
    port: url.port === '' ? undefined : Number(url.port),
    socket,
    identity,
    client,
  };
}

/** A name or an address, and never an option of a program. */
function hostOf(url: URL, source: string): string {
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
  if (isIP(host) === 0 && !/^[A-Za-z0-9_][A-Za-z0-9._-]*$/.test(host)) {
    throw unsupported(`${source} names no host that can be used: ${shown(url)}`, 'Write HOST as a name or an address.');
  }
  return host;
}

/** A password would stand in lists of processes; a query has no meaning. */
function requireNothingElse(url: URL, source: string, path: RegExp): void {
  if (url.password !== '') {
    throw unsupported(`${source} holds a password`, 'Use a key: ssh asks nobody here.');
  }
  if (!path.test(url.pathname) || url.search !== '' || url.hash !== '') {
    throw unsupported(`${source} has more than an address: ${shown(url)}`, 'Leave out what stands behind it.');
  }
}

function shown({ protocol, host, pathname }: URL): string {
  return visible(`${protocol}//${host}${pathname}`);
}

/** Docker's own names for them in a folder. */
export function tlsFilesIn(folder: string): Required<TlsFiles> {
  return { ca: join(folder, 'ca.pem'), cert: join(folder, 'cert.pem'), key: join(folder, 'key.pem') };
}

export function unsupported(message: string, hint: string): CasemateError {
  return new CasemateError('UNSUPPORTED', message, { hint });
}
