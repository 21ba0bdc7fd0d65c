import { passWhole, type BodyStep } from './body-steps.ts';
import { both } from '../../base/both.ts';

/** Writes WebSocket frames (RFC 6455 section 5), many small ones into one piece: each by itself would cost what a kilobyte does. */
export interface FrameWriterOptions {
  /** what the content of messages passes through; `finish` is called at the end of each */
  readonly message: BodyStep | undefined;
  /** the same for control frames */
  readonly control: BodyStep | undefined;
  /** 32 bits, new for each frame (section 5.3); none: frames of a server */
  readonly maskKey: (() => number) | undefined;
}

export interface FrameWriter {
  /** Content of a message; `code` counts for the first of it. May write into the piece. */
  readonly message: (code: number, piece: Buffer, isEnd: boolean) => void;
  readonly control: (code: number, content: Buffer) => void;
  /** the frames written since it was last asked */
  readonly take: () => Buffer;
}

const continuation = 0;
const longestHead = 14;
/** Content up to this is copied behind its head. */
const smallBytes = 1024;
const roomBytes = 16 * 1024;
const nothing = Buffer.alloc(0);

export function createFrameWriter({ message, control, maskKey }: FrameWriterOptions): FrameWriter {
  const output = createOutput();
  let isBegun = false;
  let isWritten = false;
  const write = (first: number, content: Buffer): void => {
    const key = maskKey?.();
    const isSmall = content.length <= smallBytes;
    output.reserve(longestHead + (isSmall ? content.length : 0));
    output.head(first, content.length, key);
    if (isSmall) {
      output.copy(content, key ?? 0);
    } else {
      applyKey(content, { key: key ?? 0, from: 0, to: content.length, offset: 0 });
      output.add(content);
    }
  };
  const passed = (piece: Buffer, isEnd: boolean): Buffer => {
    if (message === undefined) {
      return piece;
    }
    return isEnd && !isBegun
      ? passWhole(message, piece)
      : isEnd
        ? both(message.push(piece), message.finish())
        : message.push(piece);
  };
  return {
    message(code, piece, isEnd) {
      const content = passed(piece, isEnd);
      isBegun = !isEnd;
      if (content.length > 0 || isEnd) {
        write((isEnd ? 0x80 : 0) | (isWritten ? continuation : code), content);
        isWritten = !isEnd;
      }
    },
    control: (code, content) => write(0x80 | code, control === undefined ? content : passWhole(control, content)),
    take: output.take,
  };
}

interface Output {
  /** So many bytes are written next. */
  readonly reserve: (bytes: number) => void;
  readonly head: (first: number, length: number, key: number | undefined) => void;
  /** a copy, masked: no key is one of zeros */
  readonly copy: (content: Buffer, key: number) => void;
  /** itself, behind what was written */
  readonly add: (content: Buffer) => void;
  readonly take: () => Buffer;
}

function createOutput(): Output {
  let parts: Buffer[] = [];
  let room = nothing;
  let from = 0;
  let end = 0;
  const close = (): void => {
    if (end > from) {
      parts.push(room.subarray(from, end));
      from = end;
    }
  };
  return {
    reserve(bytes) {
      if (end + bytes > room.length) {
        close();
        // The first is small: most pieces hold a frame or two.
        room = Buffer.allocUnsafe(room.length === 0 ? bytes + smallBytes : roomBytes);
        [from, end] = [0, 0];
      }
    },
    head(first, length, key) {
      room[end] = first;
      end = writeLength(room, end + 1, { length, bit: key === undefined ? 0 : 0x80 });
      end = key === undefined ? end : room.writeInt32BE(key, end);
    },
    copy(content, key) {
      if (content.length > 32) {
        content.copy(room, end);
        applyKey(room, { key, from: end, to: end + content.length, offset: 0 });
      } else {
        // Calls would take longer.
        for (let index = 0; index < content.length; index += 1) {
          room[end + index] = (content[index] ?? 0) ^ keyByte(key, index);
        }
      }
      end += content.length;
    },
    add(content) {
      close();
      parts.push(content);
    },
    take() {
      close();
      const [only = nothing] = parts;
      const whole = parts.length > 1 ? Buffer.concat(parts) : only;
      parts = [];
      room = nothing;
      [from, end] = [0, 0];
      return whole;
    },
  };
}

/** In the shortest of its forms; answers where it ends. */
function writeLength(room: Buffer, at: number, { length, bit }: { readonly length: number; readonly bit: number }): number {
  room[at] = bit | (length < 126 ? length : length <= 0xffff ? 126 : 127);
  if (length < 126) {
    return at + 1;
  }
  return length <= 0xffff ? room.writeUInt16BE(length, at + 1) : room.writeBigUInt64BE(BigInt(length), at + 1);
}

/** Masks and unmasks in place; `offset` is how much of the content came before. */
export function applyKey(data: Buffer, { key, from, to, offset }: Masking): void {
  if (key === 0) {
    return;
  }
  for (let at = from; at < to; at += 1) {
    data[at] = (data[at] ?? 0) ^ keyByte(key, offset + at - from);
  }
}

interface Masking {
  /** of 32 bits; zeros mask nothing */
  readonly key: number;
  readonly from: number;
  readonly to: number;
  readonly offset: number;
}

function keyByte(key: number, index: number): number {
  return (key >>> (24 - 8 * (index & 3))) & 0xff;
}
