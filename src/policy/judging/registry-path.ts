import type { RegistryKind } from '../facts.ts';
import type { RequestLine } from './request-line.ts';

/**
 * Recognises reads from a package registry: the addresses that its clients ask for, below whatever prefix a mirror adds.
 * Addresses of accounts, tokens and user lists are not among them, even where `GET` could read them.
 */

const segment = '[A-Za-z0-9._~+-]{1,128}';
/** No segment of a prefix is `-`: that is where npm registries keep what is not a package. */
const prefix = `(?:/(?!-(?:/|$))${segment}){0,10}`;
const npmName = '(?:@[a-z0-9~-][a-z0-9._~-]{0,213}(?:/|%2[fF]))?(?!-(?:/|$))[A-Za-z0-9_~-][A-Za-z0-9._~-]{0,213}';
const pypiName = '[A-Za-z0-9](?:[A-Za-z0-9._-]{0,126}[A-Za-z0-9])?';
const version = '[A-Za-z0-9._~+^-]{1,128}';

const forms: Readonly<Record<RegistryKind, readonly RegExp[]>> = {
  npm: [
    new RegExp(`^${prefix}/(?:${npmName})/-/(?:@${segment}/)?${segment}\\.tgz$`),
    new RegExp(`^${prefix}/-/package/(?:${npmName})/dist-tags$`),
    new RegExp(`^${prefix}/-/(?:ping)$`),
    new RegExp(`^${prefix}/(?:${npmName})(?:/${version})?$`),
  ],
  pypi: [
    new RegExp(`^${prefix}/\\+?simple/(?:(?:${pypiName})/?)?$`),
    new RegExp(`^${prefix}/pypi/(?:${pypiName})(?:/${version})?/json$`),
    // Two more prefixes: files lie below their own hash.
    new RegExp(
      `^${prefix}${prefix}/(?:${pypiName})-[A-Za-z0-9._+!-]+\\.(?:whl|tar\\.gz|tar\\.bz2|zip|egg)(?:\\.metadata|\\.asc)?$`,
    ),
  ],
  debian: [
    new RegExp(`^${prefix}/(?:dists|pool)/(?:[A-Za-z0-9._~+%:/@,=-]{1,512})$`),
    new RegExp(
      `^(?:/[A-Za-z0-9._~+:-]{1,128}){0,10}/(?:(?:InRelease|Release(?:\\.gpg)?|(?:Packages|Sources|Contents|Translation)[A-Za-z0-9._-]*|[A-Za-z0-9._~+%-]+\\.u?deb))$`,
    ),
  ],
};

export function isRegistryRead(kind: RegistryKind, { method, path: target }: RequestLine): boolean {
  const [path = '', query] = target.split('?', 2);
  const isPlain = target.length <= 2048 && !/\/\.{1,2}(?:\/|$)|\/\//.test(path) && (query === undefined || query.length <= 256);
  return isPlain && (method === 'GET' || method === 'HEAD') && forms[kind].some((form) => form.test(path));
}
