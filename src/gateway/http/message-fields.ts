import type { Field } from './fields.ts';

/** The fields of an HTTP/1.1 message as they are on the wire, the same for requests and answers. */

/** This is no message, or one with more than one meaning. */
export class MessageFault extends Error {}

const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const text = /^[\t\x20-\x7e\x80-\xff]*$/;

export function isToken(word: string): boolean {
  return token.test(word);
}

/** No control character but the tab: a line end that is none (a lone CR) stands nowhere. */
export function isText(line: string): boolean {
  return text.test(line);
}

/** The name, in lower case, touches its colon; nothing is folded. */
export function readField(line: string): Field {
  const colon = line.indexOf(':');
  const name = line.slice(0, Math.max(0, colon));
  if (!isToken(name) || !isText(line)) {
    throw new MessageFault('a field cannot be read');
  }
  return [name.toLowerCase(), withoutBlanks(line, colon + 1)];
}

/** By hand: `trim` takes more than blanks and tabs, and an expression takes long for many blanks in the middle. */
function withoutBlanks(line: string, from: number): string {
  let start = from;
  let end = line.length;
  while (start < end && isBlank(line.charCodeAt(start))) {
    start += 1;
  }
  while (end > start && isBlank(line.charCodeAt(end - 1))) {
    end -= 1;
  }
  return line.slice(start, end);
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09;
}

/**
 * What is said about where the content ends: at most one of both, and once. A length is digits alone; the only transfer
 * coding is `chunked`. Everything else is read differently by different programs (RFC 9112 section 11.2).
 */
export function statedFraming(fields: readonly Field[]): { readonly length: number } | 'chunked' | undefined {
  let length: string | undefined;
  let coding: string | undefined;
  for (const [name, value] of fields) {
    if (name === 'content-length') {
      if (length !== undefined || !/^[0-9]{1,15}$/.test(value)) {
        throw new MessageFault('the length of the content has more than one meaning');
      }
      length = value;
    } else if (name === 'transfer-encoding') {
      if (coding !== undefined || value.toLowerCase() !== 'chunked') {
        throw new MessageFault('the transfer coding is not known');
      }
      coding = value;
    }
  }
  if (coding !== undefined && length !== undefined) {
    throw new MessageFault('a length stands beside a transfer coding');
  }
  return coding !== undefined ? 'chunked' : length === undefined ? undefined : { length: Number(length) };
}

/** Whether the connection goes on behind the message, as far as its sender says (RFC 9112 section 9.3). */
export function isKeptBySender(fields: readonly Field[], minor: '0' | '1'): boolean {
  let isClosing = false;
  let isKeeping = false;
  for (const field of fields) {
    if (field[0] === 'connection') {
      const value = field[1];
      const words = value.toLowerCase().split(',');
      isClosing ||= words.some((word) => word.trim() === 'close');
      isKeeping ||= words.some((word) => word.trim() === 'keep-alive');
    }
  }
  return !isClosing && (minor === '1' || isKeeping);
}
