import { domainToASCII, domainToUnicode } from 'node:url';
import { isIP } from 'node:net';

import { CasemateError } from './errors.ts';
import { visible } from './text.ts';

/** The one parser of host names. A name that is not canonical afterwards is refused here; no later code repairs it. */

declare const hostBrand: unique symbol;

/** A canonical host name: lower case, ASCII (punycode), no trailing dot, at least one label, not an address. */
export type HostName = string & { readonly [hostBrand]: true };

const label = /^(?!-)[a-z0-9_-]{1,63}(?<!-)$/;

function isHostName(text: string): text is HostName {
  const labels = text.split('.');
  return (
    text.length > 0 &&
    text.length <= 253 &&
    labels.every((part) => label.test(part)) &&
    // A last label of digits (or 0x...) is read as an IPv4 address by inet_aton and the URL standard.
    !/^(?:\d+|0x[0-9a-f]*)$/.test(labels.at(-1) ?? '') &&
    isIP(text) === 0
  );
}

/**
 * `text` in canonical form, or `undefined` where it has none (RFC 1123, RFC 5891, WHATWG URL "ends in a number").
 * Letters are lowered, one trailing dot is dropped, international names become punycode; nothing else is changed.
 */
export function canonicalHost(text: string): HostName | undefined {
  if (text.length > 1024 || !/^[\p{L}\p{M}\p{N}._-]+$/u.test(text)) {
    return undefined;
  }
  const lowered = text.toLowerCase();
  // oxlint-disable-next-line no-control-regex -- the ASCII range is meant
  const ascii = /^[\u0000-\u007f]*$/.test(lowered) ? lowered : domainToASCII(lowered);
  const bare = ascii.endsWith('.') ? ascii.slice(0, -1) : ascii;
  return isHostName(bare) && isGenuine(bare) ? bare : undefined;
}

/** Labels that begin with `xn--` stand for a name in Unicode (RFC 5891), or they mean something else to every reader. */
function isGenuine(name: string): boolean {
  if (!name.includes('xn--')) {
    return true;
  }
  // What is ASCII already is not looked into by `domainToASCII`: only the way there and back tells.
  const unicode = domainToUnicode(name);
  return !unicode.includes('xn--') && domainToASCII(unicode) === name;
}

/** Throws `NAME_INVALID` where `canonicalHost` has no answer. */
export function parseHost(text: string): HostName {
  const host = canonicalHost(text);
  if (host === undefined) {
    throw new CasemateError('NAME_INVALID', `"${visible(text)}" is not a host name`, {
      hint: 'Use a DNS name such as api.example.com; addresses, ports and paths do not belong in it.',
    });
  }
  return host;
}
