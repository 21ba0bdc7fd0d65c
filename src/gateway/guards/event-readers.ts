import { gather } from '../../base/gather.ts';
import { parseJson } from '../../base/json.ts';

/** Readers of streamed answers: give the objects in them one by one as the bytes pass, however they are cut. */
export interface EventReader {
  readonly push: (piece: Buffer) => void;
}

/** A longer event is left out: it would have to be held. */
const longestEvent = 8 * 1024 * 1024;

/** Server-sent events (HTML standard, 9.2): each `data` that may hold a count of tokens, parsed. */
export function sseReader(take: (value: unknown) => void): EventReader {
  const held = gatherEvent();
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
        if (held.isEmpty()) {
          line(last);
        } else {
          held.add(last);
          const whole = held.take();
          if (whole !== undefined) {
            line(whole);
          }
        }
        from = end + 1;
      }
      held.add(piece.subarray(from));
    },
  };
}

/**
 * `application/vnd.amazon.eventstream`: length, length of headers, checksum, headers, payload, checksum. The payload of
 * an invocation holds the model's own event in base64 in `bytes`.
 */
export function awsEventReader(take: (value: unknown) => void): EventReader {
  const held = gather();
  /** nothing is joined before so much is there */
  let needed = 16;
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
      held.add(Buffer.from(piece));
      if (held.size() < needed) {
        return;
      }
      let bytes = held.take();
      needed = 16;
      while (bytes.length >= 16) {
        const length = bytes.readUInt32BE(0);
        if (length < 16 || length > longestEvent || bytes.readUInt32BE(4) > length - 16) {
          isBroken = true;
          return;
        }
        if (bytes.length < length) {
          needed = length;
          break;
        }
        message(bytes.subarray(0, length));
        bytes = bytes.subarray(length);
      }
      held.add(bytes);
    },
  };
}

/** The event that has not ended yet. */
function gatherEvent() {
  const held = gather();
  let isTooLong = false;
  return {
    isEmpty: () => held.size() === 0 && !isTooLong,
    add(bytes: Buffer): void {
      isTooLong ||= held.size() + bytes.length > longestEvent;
      if (!isTooLong) {
        // A copy: the piece is not ours.
        held.add(Buffer.from(bytes));
      }
    },
    /** Then the next one begins. `undefined`: it was too long. */
    take(): Buffer | undefined {
      const whole = held.take();
      const wasTooLong = isTooLong;
      isTooLong = false;
      return wasTooLong ? undefined : whole;
    },
  };
}

function mayCount(text: string): boolean {
  return text.includes('sage') || text.includes('invocationMetrics');
}

function parsed(text: string, take: (value: unknown) => void): void {
  const value = parseJson(text);
  if (value !== undefined) {
    take(value);
  }
}

/** JSON objects one behind the other, as messages of a WebSocket carry them; each that may hold a count of tokens, parsed. */
export function objectReader(take: (value: unknown) => void): EventReader {
  const held = gatherEvent();
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
  return {
    push(piece) {
      let from = 0;
      for (let end = endIn(piece, 0); end !== -1; end = endIn(piece, from)) {
        held.add(piece.subarray(from, end));
        const text = held.take()?.toString('utf8');
        if (text !== undefined && mayCount(text)) {
          parsed(text, take);
        }
        from = end;
      }
      held.add(piece.subarray(from));
    },
  };
}
