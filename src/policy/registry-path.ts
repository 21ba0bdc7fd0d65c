import type { RegistryKind } from './facts.ts';
import type { RequestLine } from './decide.ts';

/**
 * Reading from a package registry: the addresses its clients ask for, below whatever prefix a mirror puts before them.
 * An account, a token or a list of users has no such address, also where it could be read with `GET`.
 */
export interface RegistryRead {
  /** what is asked for, as far as it was chosen by the caller; the same for all files of one package */
  readonly name: string;
}

const segment = '[A-Za-z0-9._~+-]{1,128}';
/** No segment of a prefix is `-`: that is where npm registries keep what is not a package. */
const prefix = `(?:/(?!-(?:/|$))${segment}){0,10}`;
const npmName = '(?:@[a-z0-9~-][a-z0-9._~-]{0,213}(?:/|%2[fF]))?(?!-(?:/|$))[A-Za-z0-9_~-][A-Za-z0-9._~-]{0,213}';
const pypiName = '[A-Za-z0-9](?:[A-Za-z0-9._-]{0,126}[A-Za-z0-9])?';
const version = '[A-Za-z0-9._~+^-]{1,128}';

const forms: Readonly<Record<RegistryKind, readonly RegExp[]>> = {
  npm: [
    new RegExp(`^${prefix}/(?<name>${npmName})/-/(?:@${segment}/)?${segment}\\.tgz$`),
    new RegExp(`^${prefix}/-/package/(?<name>${npmName})/dist-tags$`),
    new RegExp(`^${prefix}/-/(?<name>ping)$`),
    new RegExp(`^${prefix}/(?<name>${npmName})(?:/${version})?$`),
  ],
  pypi: [
    new RegExp(`^${prefix}/\\+?simple/(?:(?<name>${pypiName})/?)?$`),
    new RegExp(`^${prefix}/pypi/(?<name>${pypiName})(?:/${version})?/json$`),
    // Two more prefixes: files lie below their own hash.
    new RegExp(
      `^${prefix}${prefix}/(?<name>${pypiName})-[A-Za-z0-9._+!-]+\\.(?:whl|tar\\.gz|tar\\.bz2|zip|egg)(?:\\.metadata|\\.asc)?$`,
    ),
  ],
  debian: [
    new RegExp(`^${prefix}/(?:dists|pool)/(?<name>[A-Za-z0-9._~+%:/@,=-]{1,512})$`),
    new RegExp(
      `^(?:/[A-Za-z0-9._~+:-]{1,128}){0,10}/(?<name>(?:InRelease|Release(?:\\.gpg)?|(?:Packages|Sources|Contents|Translation)[A-Za-z0-9._-]*|[A-Za-z0-9._~+%-]+\\.u?deb))$`,
    ),
  ],
};

/** `undefined`: not a read that a client of this registry makes. */
export function readRegistryPath(kind: RegistryKind, { method, path: target }: RequestLine): RegistryRead | undefined {
  const [path = '', query] = target.split('?', 2);
  const isPlain = target.length <= 2048 && !/\/\.{1,2}(?:\/|$)|\/\//.test(path) && (query === undefined || query.length <= 256);
  if (!isPlain || (method !== 'GET' && method !== 'HEAD')) {
    return undefined;
  }
  for (const form of forms[kind]) {
    const match = form.exec(path);
    if (match !== null) {
      return { name: (match.groups?.['name'] ?? '').toLowerCase() };
    }
  }
  return undefined;
}
