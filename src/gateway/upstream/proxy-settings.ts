import type { Environment } from '../../system/environment.ts';

/** The host's own HTTP proxy, as the host's environment names it. */
export interface UpstreamProxy {
  /** for TLS and other TCP (`HTTPS_PROXY`) */
  readonly secure: URL | undefined;
  /** for plain HTTP (`HTTP_PROXY`) */
  readonly plain: URL | undefined;
  /** host names and suffixes that are dialled directly (`NO_PROXY`); `*` is everything */
  readonly direct: readonly string[];
}

/** `undefined` when the host has no proxy. A value that is not an http(s) URL counts as none. */
export function proxySettings(env: Environment): UpstreamProxy | undefined {
  const value = (...names: string[]): string | undefined =>
    names.map((name) => env.get(name)).find((found) => found !== undefined);
  const all = value('ALL_PROXY', 'all_proxy');
  const secure = proxyUrl(value('HTTPS_PROXY', 'https_proxy') ?? all);
  const plain = proxyUrl(value('http_proxy', 'HTTP_PROXY') ?? all);
  const direct = (value('NO_PROXY', 'no_proxy') ?? '').split(/[\s,]+/).filter((part) => part !== '');
  return secure === undefined && plain === undefined
    ? undefined
    : { secure, plain, direct: direct.map((part) => part.toLowerCase()) };
}

function proxyUrl(text: string | undefined): URL | undefined {
  const full = text === undefined || text.includes('://') ? text : `http://${text}`;
  const url = full !== undefined && URL.canParse(full) ? new URL(full) : undefined;
  return url !== undefined && /^https?:$/.test(url.protocol) ? url : undefined;
}

/** The proxy for one destination, if any. */
export function proxyFor(proxy: UpstreamProxy | undefined, host: string, port: number, use: 'secure' | 'plain'): URL | undefined {
  const isDirect = proxy?.direct.some((entry) => {
    const [, name = '', onlyPort] = /^\*?\.?([^:]*)(?::(\d+))?$/.exec(entry) ?? [];
    return (
      entry === '*' ||
      (name !== '' && (onlyPort === undefined || Number(onlyPort) === port) && (host === name || host.endsWith(`.${name}`)))
    );
  });
  return isDirect === true ? undefined : proxy?.[use];
}

/** `Proxy-Authorization` for credentials in the URL (RFC 7617), if there are any. */
export function proxyAuthorization(proxy: URL): string | undefined {
  if (proxy.username === '' && proxy.password === '') {
    return undefined;
  }
  const pair = `${decodeURIComponent(proxy.username)}:${decodeURIComponent(proxy.password)}`;
  return `Basic ${Buffer.from(pair).toString('base64')}`;
}
