import { randomBytes } from 'node:crypto';

import type { BodyStep } from '../bodies/body-steps.ts';
import { both } from '../../base/both.ts';

/**
 * WebSocket frames (RFC 6455 section 5) of one direction, read and written again. Content passes through a step, and what was
 * not understood is not sent on. No extension is in use, so fragments may be cut differently (section 5.4).
 */
export interface FrameOptions {
  /** who sends: frames of a client are masked, those of a server never */
  readonly sender: 'client' | 'server';
  /** made twice: for messages, where `finish` is called at the end of each, and for control frames */
  readonly step?: (() => BodyStep | undefined) | undefined;
  /** 4 bytes, new for each frame (section 5.3) */
  readonly maskKey?: (() => Buffer) | undefined;
}

/** Bytes that break the rules; the connection they came on is not relayed any further. */
export class FrameFault extends Error {}

const opcode = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;
const opcodes: ReadonlySet<number> = new Set(Object.values(opcode));
const longestControl = 125;
const nothing = Buffer.alloc(0);

interface Head {
  /** of the head itself */
  readonly bytes: number;
  readonly isFinal: boolean;
  readonly code: number;
  /** of the content */
  readonly length: number;
  readonly key: Buffer | undefined;
}

/** Takes bytes in any pieces, and writes into them; `push` throws `FrameFault`. What follows a close frame is dropped. */
export function createFrameRelay({ sender, step = () => undefined, maskKey = randomKey }: FrameOptions): BodyStep {
  const writer = createWriter({ message: step(), control: step(), maskKey: sender === 'client' ? maskKey : undefined });
  let data: Buffer = nothing;
  let head: Head | undefined;
  let done = 0;
  const readFrame = (): boolean => {
    head = readHead(data, sender);
    if (head !== undefined) {
      writer.begin(head);
      data = data.subarray(head.bytes);
      done = 0;
    }
    return head !== undefined;
  };
  const readContent = (frame: Head): boolean => {
    const left = frame.length - done;
    // A control frame is short and read whole; of others each piece goes on as it comes.
    if (data.length < (isControl(frame) ? left : Math.min(left, 1))) {
      return false;
    }
    const piece = data.subarray(0, left);
    data = data.subarray(piece.length);
    applyKey(piece, frame.key, done);
    done += piece.length;
    const isWhole = done === frame.length;
    head = isWhole ? undefined : frame;
    writer.content(frame, { piece, isWhole });
    return true;
  };
  return {
    push(bytes) {
      data = data.length === 0 ? bytes : Buffer.concat([data, bytes]);
      for (let isMoving = true; isMoving;) {
        isMoving = !writer.isClosed() && (head === undefined ? readFrame() : readContent(head));
      }
      // At most the head of a frame or a control frame waits: a copy lets the rest of the piece go.
      data = writer.isClosed() ? nothing : Buffer.from(data);
      return writer.take();
    },
    finish: () => nothing,
  };
}

/** `undefined`: more bytes are needed. */
function readHead(data: Buffer, sender: FrameOptions['sender']): Head | undefined {
  if (data.length < 2) {
    return undefined;
  }
  const [first = 0, second = 0] = data;
  const isFinal = (first & 0x80) !== 0;
  const code = first & 0x0f;
  const isMasked = (second & 0x80) !== 0;
  must((first & 0x70) === 0, 'a reserved bit is set');
  must(opcodes.has(code), 'an unknown opcode');
  must(isMasked === (sender === 'client'), isMasked ? 'a server that masks' : 'a client that does not mask');
  const short = second & 0x7f;
  must(!isControl({ code }) || (isFinal && short <= longestControl), 'a control frame that is long or in fragments');
  must(code !== opcode.close || short !== 1, 'a close frame with half a code');
  const extended = short <= longestControl ? 0 : short === 126 ? 2 : 8;
  const bytes = 2 + extended + (isMasked ? 4 : 0);
  return data.length < bytes ? undefined : { isFinal, code, bytes, ...readRest(data, { extended, bytes, isMasked }) };
}

interface Shape {
  readonly extended: 0 | 2 | 8;
  readonly bytes: number;
  readonly isMasked: boolean;
}

function readRest(data: Buffer, { extended, bytes, isMasked }: Shape): Pick<Head, 'length' | 'key'> {
  const length = extended === 0 ? data.readUInt8(1) & 0x7f : readLength(data, extended);
  return { length, key: isMasked ? Buffer.from(data.subarray(bytes - 4, bytes)) : undefined };
}

/** In the shortest of its forms, as section 5.2 demands, and within what a number holds exactly. */
function readLength(data: Buffer, extended: 2 | 8): number {
  const length = extended === 2 ? data.readUInt16BE(2) : Number(data.readBigUInt64BE(2));
  must(length > (extended === 2 ? longestControl : 0xffff) && Number.isSafeInteger(length), 'a length in the wrong form');
  return length;
}

interface WriterOptions {
  readonly message: BodyStep | undefined;
  readonly control: BodyStep | undefined;
  readonly maskKey: (() => Buffer) | undefined;
}

interface Writer {
  readonly begin: (head: Head) => void;
  readonly content: (head: Head, part: { readonly piece: Buffer; readonly isWhole: boolean }) => void;
  readonly isClosed: () => boolean;
  /** the frames written since it was last asked */
  readonly take: () => Buffer;
}

function createWriter({ message, control, maskKey }: WriterOptions): Writer {
  let frames: Buffer[] = [];
  let isInMessage = false;
  /** what the next frame of the message is called: its kind at first, then a continuation */
  let nextCode: number = opcode.continuation;
  let isClosed = false;
  const write = (code: number, isFinal: boolean, content: Buffer): void => {
    const key = maskKey?.();
    applyKey(content, key, 0);
    frames.push(frameHead({ code, isFinal, length: content.length, key }), content);
  };
  const writeMessage = (piece: Buffer, isEnd: boolean): void => {
    const passed = message === undefined ? piece : message.push(piece);
    const content = isEnd && message !== undefined ? both(passed, message.finish()) : passed;
    if (content.length > 0 || isEnd) {
      write(nextCode, isEnd, content);
      nextCode = opcode.continuation;
    }
    isInMessage = !isEnd;
  };
  return {
    begin(head) {
      if (isControl(head)) {
        return;
      }
      must(isInMessage === (head.code === opcode.continuation), 'fragments out of order');
      nextCode = isInMessage ? nextCode : head.code;
      isInMessage = true;
    },
    content(head, { piece, isWhole }) {
      if (isControl(head)) {
        write(head.code, true, control === undefined ? piece : both(control.push(piece), control.finish()));
        isClosed = head.code === opcode.close;
      } else {
        writeMessage(piece, isWhole && head.isFinal);
      }
    },
    isClosed: () => isClosed,
    take() {
      const bytes = frames.length === 0 ? nothing : Buffer.concat(frames);
      frames = [];
      return bytes;
    },
  };
}

function frameHead({ code, isFinal, length, key }: Omit<Head, 'bytes'>): Buffer {
  const extended = length > 0xffff ? 8 : length > longestControl ? 2 : 0;
  const head = Buffer.allocUnsafe(2 + extended + (key === undefined ? 0 : 4));
  head.writeUInt8((isFinal ? 0x80 : 0) | code, 0);
  head.writeUInt8((key === undefined ? 0 : 0x80) | (extended === 8 ? 127 : extended === 2 ? 126 : length), 1);
  if (extended === 2) {
    head.writeUInt16BE(length, 2);
  } else if (extended === 8) {
    head.writeBigUInt64BE(BigInt(length), 2);
  }
  key?.copy(head, 2 + extended);
  return head;
}

function isControl({ code }: { readonly code: number }): boolean {
  return code >= opcode.close;
}

/** Masks and unmasks in place; `offset` is how much of the content came before. */
function applyKey(content: Buffer, key: Buffer | undefined, offset: number): void {
  if (key === undefined) {
    return;
  }
  for (let index = 0; index < content.length; index += 1) {
    content[index] = (content[index] ?? 0) ^ (key[(offset + index) & 3] ?? 0);
  }
}

/** Random bytes are fetched for many frames at once. */
let pool = nothing;
function randomKey(): Buffer {
  pool = pool.length < 4 ? randomBytes(4096) : pool;
  const key = pool.subarray(0, 4);
  pool = pool.subarray(4);
  return key;
}

function must(condition: boolean, why: string): void {
  if (!condition) {
    throw new FrameFault(why);
  }
}
