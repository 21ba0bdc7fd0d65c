import { requestText } from '../clients/request-text.ts';

/** Requests on a connection for one host that claim to be for another (RFC 9112 section 3.2), or for none that can be told. */
export interface ClaimParts {
  /** the host that the connection is for */
  readonly allowed: string;
  readonly denied: string;
  readonly scheme: 'http' | 'https';
  /** default `GET` */
  readonly method?: string | undefined;
  /** marks this attempt; default `/` */
  readonly target?: string | undefined;
}

/** Spellings of another host, or of none. */
function foreignHosts({ allowed, denied }: ClaimParts): readonly string[] {
  return [
    denied,
    `${allowed}:8080`,
    `${allowed}:`,
    `${allowed}:0443x`,
    `${allowed}@${denied}`,
    `${denied}@${allowed}`,
    `${allowed}, ${denied}`,
    `${allowed} ${denied}`,
    `${allowed}/${denied}`,
    `${allowed}\\${denied}`,
    `${allowed}#${denied}`,
    `${allowed}?${denied}`,
    `${allowed}\t.${denied}`,
    `${allowed}..`,
    `.${allowed}`,
    `${denied}.${allowed}`,
    `${allowed}.${denied}`,
    `${allowed}%00.${denied}`,
    `%61llowed.proof.test`,
    'localhost',
    '127.0.0.1',
    '127.1',
    '0x7f.1',
    '0177.0.0.1',
    '2130706433',
    '[::1]',
    '[::ffff:127.0.0.1]',
    '[::1%lo]',
    '169.254.169.254',
    '*',
    '',
  ];
}

export function foreignClaims(parts: ClaimParts): Readonly<Record<string, string>> {
  const { allowed, denied, scheme, method = 'GET', target = '/' } = parts;
  const request = (host: string, lines: readonly string[] = [], form = target): string =>
    requestText({ host, method, target: form, lines: method === 'GET' ? lines : [...lines, 'Content-Length: 0'] });
  const own = request(allowed);
  return {
    ...Object.fromEntries(foreignHosts(parts).map((host) => [`host ${JSON.stringify(host)}`, request(host)])),
    'two hosts': request(allowed, [`Host: ${denied}`]),
    'two hosts, the other first': request(denied, [`Host: ${allowed}`]),
    'a folded host': own.replace(`Host: ${allowed}`, `Host: ${allowed}\r\n ${denied}`),
    'a host behind a bare CR': own.replace(`Host: ${allowed}`, `Host: ${allowed}\rHost: ${denied}`),
    'a host behind a bare LF': own.replace(`Host: ${allowed}`, `Host: ${denied}\nX: ${allowed}`),
    'a host with NUL': own.replace(`Host: ${allowed}`, `Host: ${denied}\0.${allowed}`),
    'a space before the colon': own.replace('Host:', 'Host :'),
    'no host': own.replace(`Host: ${allowed}\r\n`, ''),
    'an absolute target': request(allowed, [], `${scheme}://${denied}${target}`),
    'an absolute target, the host of the connection': request(denied, [], `${scheme}://${allowed}${target}`),
    'a target with a user part': request(allowed, [], `${scheme}://${allowed}@${denied}${target}`),
    'a target of another scheme': request(allowed, [], `ftp://${denied}${target}`),
    'a target that is a host': request(allowed, [], `${denied}:443`),
    'a target without a path': request(allowed, [], '*'),
    'a target with a fragment': request(allowed, [], `${target}#@${denied}`),
    'a target with a space': request(allowed, [], `${target} http://${denied}/`),
    'a target with a control character': request(allowed, [], `${target}\u0001`),
    CONNECT: own.replace(/^\S+ \S+/, `CONNECT ${denied}:443`),
  };
}

/** The same host in other words: each is the legal twin. */
export function ownClaims({
  allowed,
  scheme,
  method = 'GET',
  target = '/',
}: Omit<ClaimParts, 'denied'>): Readonly<Record<string, string>> {
  const port = scheme === 'http' ? 80 : 443;
  const hosts = [allowed, allowed.toUpperCase(), `${allowed}:${port}`, `${allowed}.`];
  const lines = method === 'GET' ? [] : ['Content-Length: 0'];
  return Object.fromEntries(hosts.map((host) => [`host ${JSON.stringify(host)}`, requestText({ host, method, target, lines })]));
}

/** What a caller may say of itself and of its way; none of it is true, and none may go on. */
export const claimsAboutCaller: readonly string[] = [
  'X-Forwarded-For: 127.0.0.1',
  'X-Forwarded-Host: localhost',
  'X-Forwarded-Proto: https',
  'X-Forwarded-Port: 22',
  'X-Forwarded-Server: localhost',
  'X-Real-IP: 127.0.0.1',
  'Forwarded: for=127.0.0.1;host=localhost',
  'Via: 1.1 localhost',
  'Proxy-Authorization: Basic Qjo=',
];
