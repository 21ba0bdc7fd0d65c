/** Readers of streamed answers: the objects in them, one by one, as the bytes pass, however they are cut. */
export interface EventReader {
  readonly push: (piece: Buffer) => void;
}

/** A longer event is left out: it would have to be held. */
const longestEvent = 8 * 1024 * 1024;

/** Server-sent events (HTML standard, 9.2): each `data` that may hold a count of tokens, parsed. */
export function sseReader(take: (value: unknown) => void): EventReader {
  let parts: Buffer[] = [];
  let length = 0;
  const line = (bytes: Buffer): void => {
    const text = bytes.toString('utf8').trimEnd();
    if (text.startsWith('data:') && mayCount(text)) {
      parsed(text.slice(5), take);
    }
  };
  return {
    push(piece) {
      let from = 0;
      for (let end = piece.indexOf(0x0a); end !== -1; end = piece.indexOf(0x0a, from)) {
        const last = piece.subarray(from, end);
        if (length + last.length <= longestEvent) {
          line(parts.length === 0 ? last : Buffer.concat([...parts, last]));
        }
        parts = [];
        length = 0;
        from = end + 1;
      }
      length += piece.length - from;
      if (length <= longestEvent) {
        // A copy: the piece is not ours.
        parts.push(Buffer.from(piece.subarray(from)));
      } else {
        parts = [];
      }
    },
  };
}

/**
 * `application/vnd.amazon.eventstream`: length, length of headers, checksum, headers, payload, checksum. The payload of
 * an invocation holds the model's own event in base64 in `bytes`.
 */
export function awsEventReader(take: (value: unknown) => void): EventReader {
  let held = Buffer.alloc(0);
  let isBroken = false;
  const message = (bytes: Buffer): void => {
    const headerBytes = bytes.readUInt32BE(4);
    const payload = bytes.subarray(12 + headerBytes, bytes.length - 4).toString('utf8');
    parsed(payload, (value) => {
      const inner = typeof value === 'object' && value !== null && 'bytes' in value ? value.bytes : undefined;
      if (typeof inner === 'string') {
        parsed(Buffer.from(inner, 'base64').toString('utf8'), take);
      } else {
        take(value);
      }
    });
  };
  return {
    push(piece) {
      if (isBroken) {
        return;
      }
      held = Buffer.concat([held, piece]);
      while (held.length >= 16) {
        const length = held.readUInt32BE(0);
        if (length < 16 || length > longestEvent || held.readUInt32BE(4) > length - 16) {
          isBroken = true;
          held = Buffer.alloc(0);
          return;
        }
        if (held.length < length) {
          return;
        }
        message(held.subarray(0, length));
        held = held.subarray(length);
      }
    },
  };
}

function mayCount(text: string): boolean {
  return text.includes('sage') || text.includes('invocationMetrics');
}

function parsed(text: string, take: (value: unknown) => void): void {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return;
  }
  take(value);
}

/** JSON objects one behind the other, as messages of a WebSocket carry them; each that may hold a count of tokens, parsed. */
export function objectReader(take: (value: unknown) => void): EventReader {
  let parts: Buffer[] = [];
  let length = 0;
  let depth = 0;
  let inString = false;
  let isEscaped = false;
  /** Behind the end of the object that is open; -1: it is not in this piece. */
  const endIn = (piece: Buffer, from: number): number => {
    for (let at = from; at < piece.length; at += 1) {
      const byte = piece[at];
      if (inString) {
        inString = isEscaped || byte !== 0x22;
        isEscaped = !isEscaped && byte === 0x5c;
      } else {
        inString = byte === 0x22;
        depth += byte === 0x7b ? 1 : byte === 0x7d ? -1 : 0;
        if (byte === 0x7d && depth <= 0) {
          depth = 0;
          return at + 1;
        }
      }
    }
    return -1;
  };
  const keep = (bytes: Buffer): void => {
    length += bytes.length;
    parts = length <= longestEvent ? [...parts, Buffer.from(bytes)] : [];
  };
  return {
    push(piece) {
      let from = 0;
      for (let end = endIn(piece, 0); end !== -1; end = endIn(piece, from)) {
        keep(piece.subarray(from, end));
        const text = Buffer.concat(parts).toString('utf8');
        if (length <= longestEvent && mayCount(text)) {
          parsed(text, take);
        }
        parts = [];
        length = 0;
        from = end;
      }
      keep(piece.subarray(from));
    },
  };
}
