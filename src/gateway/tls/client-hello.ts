import { canonicalHost, type HostName } from '../../base/host.ts';

/**
 * Reads the server name from a TLS ClientHello (RFC 8446 section 4.1.2, RFC 6066 section 3). Strict: anything other than exactly
 * one well-formed name in one record is unreadable, and unreadable means closed, never "no name".
 */
export type Hello =
  | { readonly kind: 'incomplete' }
  | { readonly kind: 'unreadable'; readonly why: string }
  | {
      readonly kind: 'hello';
      readonly serverName: HostName;
      /** an encrypted inner hello may name another server (RFC 9849) */
      readonly hasEncryptedHello: boolean;
    };

const extensionType = { serverName: 0, encryptedClientHello: 0xfe0d } as const;
/** The longest record (RFC 8446 section 5.1) with its header. */
export const maxHelloBytes = 5 + 16_384;

class Unreadable extends Error {}

/** Never throws. `bytes` is what has arrived so far. */
export function readClientHello(bytes: Buffer): Hello {
  try {
    return readRecord(bytes);
  } catch (error) {
    return { kind: 'unreadable', why: error instanceof Unreadable ? error.message : 'malformed' };
  }
}

function readRecord(bytes: Buffer): Hello {
  must(bytes.length < 1 || bytes.readUInt8(0) === 0x16, 'not TLS');
  must(bytes.length < 2 || bytes.readUInt8(1) === 3, 'not TLS');
  if (bytes.length < 5) {
    return { kind: 'incomplete' };
  }
  const length = bytes.readUInt16BE(3);
  must(bytes.readUInt8(2) <= 4, 'unknown record version');
  must(length >= 4 && length <= 16_384, 'record length out of range');
  must(bytes.length < 6 || bytes.readUInt8(5) === 1, 'not a ClientHello');
  if (bytes.length < 9) {
    return { kind: 'incomplete' };
  }
  must(bytes.readUIntBE(6, 3) === length - 4, 'ClientHello split over records or followed by other data');
  return bytes.length < 5 + length ? { kind: 'incomplete' } : readHello(new Cursor(bytes, 9, 5 + length));
}

function readHello(hello: Cursor): Hello {
  must(hello.uint(2) === 0x0303, 'unknown hello version');
  hello.skip(32);
  must(hello.vector(1).left <= 32, 'session id too long');
  must(hello.vector(2).left >= 2, 'no cipher suites');
  must(hello.vector(1).left >= 1, 'no compression methods');
  must(hello.left > 0, 'no extensions');
  const extensions = hello.vector(2);
  must(hello.left === 0, 'bytes after the extensions');
  const seen = new Map<number, Cursor>();
  while (extensions.left > 0) {
    const type = extensions.uint(2);
    must(!seen.has(type), 'an extension twice');
    seen.set(type, extensions.vector(2));
  }
  const serverName = seen.get(extensionType.serverName);
  if (serverName === undefined) {
    throw new Unreadable('no server name');
  }
  return {
    kind: 'hello',
    serverName: readServerName(serverName),
    hasEncryptedHello: seen.has(extensionType.encryptedClientHello),
  };
}

function readServerName(extension: Cursor): HostName {
  const list = extension.vector(2);
  must(extension.left === 0, 'bytes after the server name list');
  must(list.uint(1) === 0, 'server name of unknown type');
  const name = list.text(list.uint(2));
  must(list.left === 0, 'several server names');
  // RFC 6066: ASCII, no trailing dot, never an address. Capitals are the same name.
  must(/^[A-Za-z0-9._-]{1,253}$/.test(name) && !name.endsWith('.'), 'server name not well formed');
  const host = canonicalHost(name);
  if (host === undefined) {
    throw new Unreadable('server name not well formed');
  }
  return host;
}

/** A part of the bytes that is read from its start. A class, and without views: a hello has some forty of them. */
class Cursor {
  readonly #bytes: Buffer;
  #at: number;
  readonly #end: number;

  constructor(bytes: Buffer, at: number, end: number) {
    this.#bytes = bytes;
    this.#at = at;
    this.#end = end;
  }

  get left(): number {
    return this.#end - this.#at;
  }

  uint(size: 1 | 2): number {
    const from = this.#pass(size);
    return size === 1 ? this.#bytes.readUInt8(from) : this.#bytes.readUInt16BE(from);
  }

  skip(length: number): void {
    this.#pass(length);
  }

  text(length: number): string {
    const from = this.#pass(length);
    return this.#bytes.toString('latin1', from, from + length);
  }

  /** what follows its length in `size` bytes */
  vector(size: 1 | 2): Cursor {
    const length = this.uint(size);
    const from = this.#pass(length);
    return new Cursor(this.#bytes, from, from + length);
  }

  /** Where what was passed begins. */
  #pass(length: number): number {
    must(length <= this.left, 'a length points past its end');
    const from = this.#at;
    this.#at += length;
    return from;
  }
}

function must(condition: boolean, why: string): void {
  if (!condition) {
    throw new Unreadable(why);
  }
}
