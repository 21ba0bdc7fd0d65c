/**
 * Tar archives (POSIX.1-2001 pax, and GNU's long names). Reading goes entry by entry and trusts nothing that an entry claims;
 * writing includes nothing beyond what is needed. Pure: bytes in, bytes out.
 */

export type TarKind = 'file' | 'folder' | 'link' | 'other';

export interface TarHeader {
  /** UTF-8; of a folder with a slash at its end, or without */
  readonly name: string;
  readonly kind: Exclude<TarKind, 'other'>;
  readonly mode: number;
  readonly size: number;
  /** of a symbolic link */
  readonly target?: string | undefined;
  /** seconds since 1970 */
  readonly timeS?: number | undefined;
}

export interface TarEntry {
  readonly name: string;
  readonly kind: TarKind;
  readonly mode: number;
  readonly size: number;
  readonly target: string;
  readonly timeS: number;
  /** Its bytes; what is not read of them is passed over. */
  readonly content: () => AsyncGenerator<Buffer>;
}

const block = 512;
const types: Readonly<Record<TarHeader['kind'], string>> = { file: '0', folder: '5', link: '2' };
const greatestExtension = 64 * 1024;
/** in a row, before an entry: one of each kind is what programs write */
const mostExtensions = 8;

/** Two blocks of nothing. */
export const tarEnd = Buffer.alloc(2 * block);

/** Zeros that fill up an entry's last block. */
export function tarPadding(size: number): Buffer {
  return Buffer.alloc((block - (size % block)) % block);
}

/** The header of one entry, with one before it where a name is too long or is not ASCII. */
export function tarHeader(header: TarHeader): Buffer {
  const { name, target = '' } = header;
  const fits = [name, target].every((text) => /^[\x20-\x7e]*$/.test(text) && text.length <= 100);
  if (fits) {
    return plainHeader(header, types[header.kind]);
  }
  const records = Buffer.from([paxRecord('path', name), ...(target === '' ? [] : [paxRecord('linkpath', target)])].join(''));
  const before = plainHeader({ name: 'pax', kind: 'file', mode: 0o644, size: records.length }, 'x');
  return Buffer.concat([
    before,
    records,
    tarPadding(records.length),
    plainHeader({ ...header, name: 'long', target: 'long' }, types[header.kind]),
  ]);
}

function plainHeader({ name, mode, size, target = '', timeS = 0 }: TarHeader, type: string): Buffer {
  const bytes = Buffer.alloc(block);
  const octal = (value: number, length: number): string =>
    `${Math.max(0, Math.floor(value))
      .toString(8)
      .padStart(length - 1, '0')}\0`;
  bytes.write(name, 0, 100);
  bytes.write(octal(mode, 8), 100);
  bytes.write(octal(0, 8), 108);
  bytes.write(octal(0, 8), 116);
  bytes.write(octal(size, 12), 124);
  bytes.write(octal(timeS, 12), 136);
  bytes.write('        ', 148);
  bytes.write(type, 156);
  bytes.write(target, 157, 100);
  bytes.write('ustar\x0000', 257);
  bytes.write(
    octal(
      bytes.reduce((sum, byte) => sum + byte, 0),
      7,
    ),
    148,
  );
  return bytes;
}

/** Its length counts its own digits. */
function paxRecord(name: string, value: string): string {
  const rest = ` ${name}=${value}\n`;
  const bytes = Buffer.byteLength(rest);
  const length = bytes + String(bytes + String(bytes).length).length;
  return `${length}${rest}`;
}

/** Throws a `RangeError` for what is no archive. */
export async function* readTar(source: AsyncIterable<Uint8Array>): AsyncGenerator<TarEntry> {
  const bytes = byteReader(source);
  let extended: ReadonlyMap<string, string> = new Map();
  let extensions = 0;
  for (;;) {
    // oxlint-disable-next-line no-await-in-loop -- one entry after the other
    const header = await bytes.take(block);
    if (header.every((byte) => byte === 0)) {
      return;
    }
    const entry = parseHeader(header);
    if ('xgLK'.includes(entry.type)) {
      extensions += 1;
      if (extensions > mostExtensions) {
        throw new RangeError('an entry has too many extended headers');
      }
      // oxlint-disable-next-line no-await-in-loop -- as above
      extended = extendedBy(extended, entry.type, await whole(bytes, entry.size));
      continue;
    }
    const size = sizeOf(extended.get('size'), entry.size);
    let left = size;
    const content = async function* (): AsyncGenerator<Buffer> {
      while (left > 0) {
        // oxlint-disable-next-line no-await-in-loop -- as above
        const piece = await bytes.some(left);
        left -= piece.length;
        yield piece;
      }
    };
    yield {
      name: extended.get('path') ?? entry.name,
      kind: kinds[entry.type] ?? 'other',
      mode: entry.mode,
      size,
      target: extended.get('linkpath') ?? entry.target,
      timeS: entry.timeS,
      content,
    };
    extended = new Map();
    extensions = 0;
    // oxlint-disable-next-line no-await-in-loop -- as above
    for await (const _ of content()) {
      // what nobody read
    }
    // oxlint-disable-next-line no-await-in-loop -- as above
    await bytes.take(tarPadding(size).length);
  }
}

const kinds: Readonly<Record<string, TarKind>> = { '0': 'file', '\0': 'file', '5': 'folder', '2': 'link' };

function sizeOf(extended: string | undefined, plain: number): number {
  if (extended === undefined) {
    return plain;
  }
  if (!/^\d{1,15}$/.test(extended)) {
    throw new RangeError('an entry has no size');
  }
  return Number(extended);
}

function extendedBy(known: ReadonlyMap<string, string>, type: string, content: Buffer): ReadonlyMap<string, string> {
  const text = content.toString('utf8');
  if (type === 'L' || type === 'K') {
    return new Map([...known, [type === 'L' ? 'path' : 'linkpath', text.replace(/\0.*$/s, '')]]);
  }
  return type === 'g' ? known : new Map([...known, ...paxRecords(content)]);
}

function paxRecords(content: Buffer): readonly (readonly [string, string])[] {
  const rows: (readonly [string, string])[] = [];
  for (let at = 0; at < content.length;) {
    const length = Number(/^\d{1,6}(?= )/.exec(content.toString('latin1', at, at + 8))?.[0] ?? 0);
    const row = content.toString('utf8', at, at + length);
    const found = /^\d+ ([^=]+)=([\s\S]*)\n$/.exec(row);
    if (length === 0 || found === null) {
      throw new RangeError('an extended header cannot be read');
    }
    rows.push([found[1] ?? '', found[2] ?? '']);
    at += length;
  }
  return rows;
}

function parseHeader(header: Buffer) {
  const text = (from: number, length: number): string => header.toString('utf8', from, from + length).replace(/\0[\s\S]*$/, '');
  const number = (from: number, length: number): number => {
    const digits = text(from, length).trim();
    if (!/^[0-7]{0,12}$/.test(digits)) {
      throw new RangeError('a header holds a number that is none');
    }
    return Number.parseInt(digits === '' ? '0' : digits, 8);
  };
  const sum = header.reduce((all, byte, at) => all + (at >= 148 && at < 156 ? 0x20 : byte), 0);
  if (header.length < block || number(148, 8) !== sum) {
    throw new RangeError('a header does not have the sum that it says');
  }
  const prefix = text(257, 5) === 'ustar' && text(257, 8) !== 'ustar  ' ? text(345, 155) : '';
  return {
    name: prefix === '' ? text(0, 100) : `${prefix}/${text(0, 100)}`,
    mode: number(100, 8) & 0o7777,
    size: number(124, 12),
    timeS: number(136, 12),
    type: header.toString('latin1', 156, 157),
    target: text(157, 100),
  };
}

interface ByteReader {
  /** Exactly so many, or none at the end. Throws for fewer. */
  readonly take: (count: number) => Promise<Buffer>;
  /** At least one and no more than so many. */
  readonly some: (most: number) => Promise<Buffer>;
}

function byteReader(source: AsyncIterable<Uint8Array>): ByteReader {
  const iterator = source[Symbol.asyncIterator]();
  let rest = Buffer.alloc(0);
  const fill = async (): Promise<boolean> => {
    const next = await iterator.next();
    if (next.done === true) {
      return false;
    }
    rest = Buffer.concat([rest, next.value]);
    return true;
  };
  return {
    async take(count) {
      // oxlint-disable-next-line no-await-in-loop -- as above
      while (rest.length < count && (await fill())) {
        // more is needed
      }
      if (rest.length < count && rest.length > 0) {
        throw new RangeError('the archive is cut off');
      }
      const piece = rest.subarray(0, count);
      rest = rest.subarray(count);
      return piece;
    },
    async some(most) {
      if (rest.length === 0 && !(await fill())) {
        throw new RangeError('the archive is cut off');
      }
      const piece = rest.subarray(0, most);
      rest = rest.subarray(piece.length);
      return piece;
    },
  };
}

async function whole(bytes: ByteReader, size: number): Promise<Buffer> {
  if (size > greatestExtension) {
    throw new RangeError('an extended header is too long');
  }
  const content = await bytes.take(size);
  if (content.length < size) {
    throw new RangeError('the archive is cut off');
  }
  await bytes.take(tarPadding(size).length);
  return content;
}
