/**
 * Reads an index of git for names that git itself refuses wherever they come from but not here: it takes an index for its own
 * work, so that `git checkout .` writes a file to `../../.bashrc` or `.git/hooks/post-checkout` and runs it (read-cache.c).
 * Pure. An index that is not as git writes it is one of those: it would be read in another way than here.
 */
export function leadsOutside(index: Buffer, hashBytes: 20 | 32): boolean {
  try {
    const { names, end } = entriesOf(index, hashBytes);
    return names.some(({ name }) => isRefused(name)) || isReadElsewhere(index, { names, end, hashBytes });
  } catch (error) {
    if (error instanceof RangeError) {
      return true;
    }
    throw error;
  }
}

/**
 * As `verify_path` of git: no part that is empty, leads up, or is a repository's own folder by any of its names. Where an index
 * is split in two, a changed entry has no name in one of them.
 */
export function isRefused(name: string): boolean {
  return name !== '' && refused.test(name);
}

/** Only a folder's name, which stands for all that is in it, may end in a slash. */
const refused = /(?:^|\/)(?:\.|\.\.|\.git|git~1)(?:\/|$)|^\/|\/\//i;

interface Name {
  readonly name: string;
  readonly at: number;
  /** of the name before it, in its compressed form */
  readonly shared: number;
}

interface Entries {
  readonly names: readonly Name[];
  readonly end: number;
}

/** gitformat-index(5), versions 2 to 4. Throws `RangeError`. */
function entriesOf(index: Buffer, hashBytes: number): Entries {
  const version = index.readUInt32BE(4);
  if (index.toString('latin1', 0, 4) !== 'DIRC' || version < 2 || version > 4) {
    throw new RangeError('not an index');
  }
  const names: Name[] = [];
  let at = 12;
  let before = '';
  for (let left = index.readUInt32BE(8); left > 0; left -= 1) {
    const { name, shared, next } = entryAt(index, { at, hashBytes, before: version === 4 ? before : undefined });
    names.push({ name, at, shared });
    [before, at] = [name, next];
  }
  return { names, end: at };
}

const statBytes = 40;
const isExtended = 0x4000;
const lengthBits = 0xfff;

interface Place {
  readonly at: number;
  readonly hashBytes: number;
  /** the name before it, where names are compressed by it */
  readonly before: string | undefined;
}

function entryAt(index: Buffer, { at, hashBytes, before }: Place): { name: string; shared: number; next: number } {
  const flagsAt = at + statBytes + hashBytes;
  const flags = index.readUInt16BE(flagsAt);
  const start = flagsAt + ((flags & isExtended) === 0 ? 2 : 4);
  const { value: dropped, next: from } = before === undefined ? { value: 0, next: start } : varintAt(index, start);
  const shared = (before ?? '').length - dropped;
  const end = index.indexOf(0, from);
  if (end < 0 || shared < 0) {
    throw new RangeError('not a name');
  }
  const name = (before ?? '').slice(0, shared) + index.toString('latin1', from, end);
  // git goes by the length that is written, and by the end of the name: it must be one.
  if (Math.min(name.length, lengthBits) !== (flags & lengthBits)) {
    throw new RangeError('not the length of a name');
  }
  return { name, shared, next: before === undefined ? at + ((end - at + 8) & ~7) : end + 1 };
}

/** varint.c: seven bits a byte, each further byte counts from where the shorter ones end. */
function varintAt(index: Buffer, from: number): { readonly value: number; readonly next: number } {
  let at = from;
  let byte = index.readUInt8(at);
  let value = byte & 127;
  for (at += 1; (byte & 128) !== 0; at += 1) {
    byte = index.readUInt8(at);
    value = (value + 1) * 128 + (byte & 127);
    if (value > lengthBits * lengthBits) {
      throw new RangeError('not a length');
    }
  }
  return { value, next: at };
}

/**
 * A large index says where parts of it begin, and git reads them from there by several threads; and what stands behind the
 * entries, by what stands at its very end. Both must mean the same entries as were read.
 */
function isReadElsewhere(index: Buffer, { names, end, hashBytes }: Entries & { readonly hashBytes: number }): boolean {
  const last = index.length - hashBytes;
  const ending = last - 12 - hashBytes;
  if (ending >= end && nameAt(index, ending) === 'EOIE' && index.readUInt32BE(ending + 8) !== end) {
    return true;
  }
  let at = end;
  while (at + 8 <= last) {
    const next = at + 8 + index.readUInt32BE(at + 4);
    if (nameAt(index, at) === 'IEOT' && !beginAtEntries(index.subarray(at + 12, next), names)) {
      return true;
    }
    at = next;
  }
  return at !== last;
}

function nameAt(index: Buffer, at: number): string {
  return index.toString('latin1', at, at + 4);
}

function beginAtEntries(table: Buffer, names: readonly Name[]): boolean {
  let first = 0;
  for (let row = 0; row < table.length; row += 8) {
    const name = names[first];
    if (name?.at !== table.readUInt32BE(row) || name.shared !== 0) {
      return false;
    }
    first += table.readUInt32BE(row + 4);
  }
  return first === names.length;
}
