import type { StopSignal } from '../../base/stop.ts';
import type { Socket } from 'node:net';
import { createSecureContext, type SecureContext, type TLSSocket } from 'node:tls';

import { dialDestination, type Dial, type DialRelay, type DialTarget, type Resolve } from './dial.ts';
import type { Destination } from './destination.ts';
import type { Attempt } from '../fault.ts';
import { dialProxy, tunnel } from './proxy-connect.ts';
import { proxyAuthorization, proxyFor, type UpstreamProxy } from './proxy-settings.ts';
import { startTls } from '../tls/start-tls.ts';
import type { TlsSessions } from '../tls/tls-sessions.ts';
import { splitPem } from '../tls/trust.ts';
import type { Wire } from './wire.ts';

/** Every way in which the gateway opens an outgoing connection. */
export interface Dialer {
  /** for bytes that are relayed as they are, by `splice` */
  readonly relay: (destination: Destination, signal: StopSignal) => Promise<Attempt<Socket | Wire>>;
  readonly tcp: (destination: Destination, signal: StopSignal) => Promise<Attempt<Socket>>;
  readonly tls: (destination: Destination, wanted: SecureDial) => Promise<Attempt<TLSSocket>>;
  readonly plainHttp: (destination: Destination, signal: StopSignal) => Promise<Attempt<PlainRoute>>;
}

export interface SecureDial {
  readonly alpn: readonly string[];
  readonly signal: StopSignal;
  readonly sessions?: TlsSessions | undefined;
}

export interface PlainRoute {
  readonly socket: Socket;
  /** set when the socket leads to the host's proxy: targets are then written in absolute form */
  readonly proxy: { readonly authorization: string | undefined } | undefined;
}

export interface DialerOptions {
  readonly resolve: Resolve;
  readonly dial: Dial;
  /** default: `dial` */
  readonly dialRelay?: DialRelay | undefined;
  readonly proxy: UpstreamProxy | undefined;
  readonly trustStorePem: string | undefined;
  readonly dialMs: number;
  readonly handshakeMs: number;
  /** default: public addresses that are none of this host's */
  readonly isAddressAllowed?: ((address: string) => boolean) | undefined;
}

export function createDialer(options: DialerOptions): Dialer {
  let made: SecureContext | undefined;
  const context = (): SecureContext => {
    // Reading a whole trust store takes some 20 ms: once, at first use.
    made ??= createSecureContext(options.trustStorePem === undefined ? {} : { ca: splitPem(options.trustStorePem) });
    return made;
  };
  const dialOptions = <C extends Socket | Wire>(signal: StopSignal, dial: (target: DialTarget) => C) => ({
    resolve: options.resolve,
    dial,
    timeoutMs: options.dialMs,
    signal,
    context,
    isAddressAllowed: options.isAddressAllowed,
  });
  const dialBy =
    <C extends Socket | Wire>(dial: (target: DialTarget) => C) =>
    (destination: Destination, signal: StopSignal): Promise<Attempt<C | Socket>> => {
      const { host, port, override } = destination;
      const proxy = override === undefined ? proxyFor(options.proxy, host, port, 'secure') : undefined;
      return proxy === undefined
        ? dialDestination(destination, dialOptions(signal, dial))
        : tunnel(proxy, { host, port }, dialOptions(signal, options.dial));
    };
  const tcp = dialBy(options.dial);
  return {
    relay: dialBy(options.dialRelay ?? options.dial),
    tcp,
    async tls(destination, { alpn, signal, sessions }) {
      const dialled = await tcp(destination, signal);
      if (!dialled.ok) {
        return dialled;
      }
      return startTls(wholeOnly(dialled.value), {
        serverName: serverNameOf(destination),
        context: context(),
        alpn,
        timeoutMs: options.handshakeMs,
        sessions,
      });
    },
    async plainHttp(destination, signal) {
      const { host, port, override } = destination;
      const proxy = override === undefined ? proxyFor(options.proxy, host, port, 'plain') : undefined;
      const dialled = await (proxy === undefined
        ? dialDestination(destination, dialOptions(signal, options.dial))
        : dialProxy(proxy, dialOptions(signal, options.dial)));
      const through = proxy === undefined ? undefined : { authorization: proxyAuthorization(proxy) };
      return dialled.ok ? { ok: true, value: { socket: wholeOnly(dialled.value), proxy: through } } : dialled;
    },
  };
}

/** A connection for HTTP: its other side ending is its end, or a kept one would seem usable. */
function wholeOnly(socket: Socket): Socket {
  socket.allowHalfOpen = false;
  return socket;
}

/** An override by name is verified as that name; one by address stands in for the host that was asked for. */
function serverNameOf({ host, override }: Destination): string {
  return override === undefined || /^[\d.]+$|:/.test(override.host) ? host : override.host;
}
