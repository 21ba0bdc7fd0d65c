/** Lines of git's wire format (gitprotocol-common(5)): four hexadecimal digits of length, then the content. Strict. */
export type PktLine = { readonly kind: 'data'; readonly data: Buffer } | { readonly kind: 'flush' };

export type PktRead = PktLine | { readonly kind: 'incomplete' } | { readonly kind: 'unreadable' };

export interface PktReader {
  readonly push: (piece: Buffer) => void;
  /** The next line, once it is there as a whole. After `unreadable` nothing more comes. */
  readonly next: () => PktRead;
  /** The first `count` bytes that no line has taken, fewer where there are fewer. They stay where they are. */
  readonly ahead: (count: number) => Buffer;
}

const prefixBytes = 4;
const maxLineBytes = 65_520;

export function createPktReader(): PktReader {
  let pieces: Buffer[] = [];
  let held = 0;
  let isBroken = false;
  /** Joins only when enough is there: bytes that come one by one are not copied again and again. */
  const ahead = (count: number): Buffer => {
    if (pieces.length > 1 && (pieces[0]?.length ?? 0) < count) {
      pieces = [Buffer.concat(pieces)];
    }
    return pieces[0]?.subarray(0, count) ?? Buffer.alloc(0);
  };
  const drop = (count: number): void => {
    const [first = Buffer.alloc(0), ...rest] = pieces;
    pieces = [first.subarray(count), ...rest];
    held -= count;
  };
  const length = (): number | undefined => {
    const prefix = ahead(prefixBytes).toString('latin1');
    const bytes = /^[0-9a-f]{4}$/.test(prefix) ? Number.parseInt(prefix, 16) : undefined;
    // 0001 to 0003 have no place here, 0004 would be an empty line, which git says not to send.
    return bytes === 0 || (bytes !== undefined && bytes > prefixBytes && bytes <= maxLineBytes) ? bytes : undefined;
  };
  return {
    push(piece) {
      if (piece.length > 0) {
        pieces.push(piece);
        held += piece.length;
      }
    },
    next() {
      if (isBroken || held < prefixBytes) {
        return { kind: isBroken ? 'unreadable' : 'incomplete' };
      }
      const bytes = length();
      if (bytes === undefined) {
        isBroken = true;
        return { kind: 'unreadable' };
      }
      if (bytes === 0) {
        drop(prefixBytes);
        return { kind: 'flush' };
      }
      if (held < bytes) {
        return { kind: 'incomplete' };
      }
      const data = Buffer.from(ahead(bytes).subarray(prefixBytes));
      drop(bytes);
      return { kind: 'data', data };
    },
    ahead,
  };
}

/** `content` as a line; text is written in UTF-8. At most 65516 bytes. */
export function pktLine(content: string | Buffer): Buffer {
  const bytes = Buffer.from(content);
  return Buffer.concat([Buffer.from((bytes.length + prefixBytes).toString(16).padStart(4, '0')), bytes]);
}

export const flushPkt: Buffer = Buffer.from('0000');
