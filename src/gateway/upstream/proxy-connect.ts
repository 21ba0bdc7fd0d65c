import type { Socket } from 'node:net';
import type { SecureContext } from 'node:tls';

import { dialConfigured, type DialOptions } from './dial.ts';
import { faulty, type Attempt } from '../fault.ts';
import { peek } from '../tls/peek.ts';
import { proxyAuthorization } from './proxy-settings.ts';
import { startTls } from '../tls/start-tls.ts';

/**
 * Tunnels through the host's HTTP proxy (RFC 9110 section 9.3.6). The proxy gets the name and decides where it leads, so the
 * address of the destination cannot be checked here. The proxy itself may have a private address.
 */
export async function dialProxy(
  proxy: URL,
  options: DialOptions & { readonly context: () => SecureContext },
): Promise<Attempt<Socket>> {
  const port = proxy.port === '' ? (proxy.protocol === 'https:' ? 443 : 80) : Number(proxy.port);
  const host = proxy.hostname.replace(/^\[(.*)\]$/, '$1');
  const dialled = await dialConfigured(host, port, options);
  if (!dialled.ok || proxy.protocol === 'http:') {
    return dialled;
  }
  return startTls(dialled.value, {
    serverName: host,
    context: options.context(),
    alpn: ['http/1.1'],
    timeoutMs: options.timeoutMs,
  });
}

export async function tunnel(
  proxy: URL,
  target: { readonly host: string; readonly port: number },
  options: DialOptions & { readonly context: () => SecureContext },
): Promise<Attempt<Socket>> {
  const dialled = await dialProxy(proxy, options);
  if (!dialled.ok) {
    return dialled;
  }
  const socket = dialled.value;
  const authority = `${target.host}:${target.port}`;
  const authorization = proxyAuthorization(proxy);
  const credentials = authorization === undefined ? '' : `Proxy-Authorization: ${authorization}\r\n`;
  socket.write(`CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n${credentials}\r\n`);
  const answer = await peek(socket, { maxBytes: 16 * 1024, timeoutMs: options.timeoutMs, read: headLength });
  if (answer.kind !== 'seen') {
    socket.destroy();
    return faulty(answer.kind === 'slow' ? 'slow' : 'proxy-refused', `the host's proxy gave no answer for ${authority}`);
  }
  // The head was put back by `peek`; exactly it is taken out, what follows belongs to the tunnel.
  const head: unknown = socket.read(answer.value);
  const status = Buffer.isBuffer(head) ? /^HTTP\/1\.[01] (\d{3})/.exec(head.toString('latin1'))?.[1] : undefined;
  if (status?.startsWith('2') !== true) {
    socket.destroy();
    return faulty('proxy-refused', `the host's proxy refused ${authority}${status === undefined ? '' : ` with ${status}`}`);
  }
  return { ok: true, value: socket };
}

function headLength(bytes: Buffer): number | undefined {
  const end = bytes.indexOf('\r\n\r\n');
  return end === -1 ? undefined : end + 4;
}
