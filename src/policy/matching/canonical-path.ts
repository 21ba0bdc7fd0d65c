/** The one reading of a request path that rules are matched against. A path that two servers could read differently has none. */

const unreserved = /[A-Za-z0-9\-._~]/;

/** Nothing in it that is escaped, empty or begins with a dot: its own canonical form, as most paths are. */
const plain = /^(?:\/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+\/?$/;

/**
 * The path of a request target in canonical form (RFC 3986 section 6.2.2: unreserved characters decoded, escapes in
 * capitals, query dropped), or `undefined` where servers are known to disagree about it: no leading slash, characters
 * outside printable ASCII, `\`, `#`, broken escapes, an escaped slash, backslash or control character, doubly escaped
 * forms of those, empty segments (`//`), and `.` or `..` segments, also with parameters (`..;x`).
 */
export function canonicalPath(target: string): string | undefined {
  const query = target.indexOf('?');
  const path = query < 0 ? target : target.slice(0, query);
  if (plain.test(path)) {
    return path;
  }
  if (!path.startsWith('/') || !/^[!-~]+$/.test(path) || /[\\#]/.test(path) || /%(?![0-9A-Fa-f]{2})/.test(path)) {
    return undefined;
  }
  const decoded = path.replace(/%([0-9A-Fa-f]{2})/g, (escape, hex: string) => {
    const character = String.fromCharCode(Number.parseInt(hex, 16));
    return unreserved.test(character) ? character : escape.toUpperCase();
  });
  // %25 is an escaped percent sign: with what follows it a server that decodes twice sees the forbidden character.
  if (/%(?:25)*(?:2f|5c|[01][0-9a-f]|7f)|%25(?:25)*2e/i.test(decoded)) {
    return undefined;
  }
  return hasAmbiguousSegment(decoded) ? undefined : decoded;
}

function hasAmbiguousSegment(path: string): boolean {
  const segments = path.slice(1).split('/');
  return segments.some((segment, index) => {
    const bare = segment.split(';', 1)[0] ?? '';
    return bare === '.' || bare === '..' || (segment === '' && index < segments.length - 1);
  });
}
