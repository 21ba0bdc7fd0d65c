import { randomBytes } from 'node:crypto';

import type { BodyStep } from './body-steps.ts';
import { applyKey, createFrameWriter, type FrameWriter } from './frame-writer.ts';

/**
 * WebSocket frames (RFC 6455 section 5) of one direction, read and written again. Content passes through a step, and what was
 * not understood is not sent on. No extension is in use, so fragments may be cut differently (section 5.4).
 */
export interface FrameOptions {
  /** who sends: frames of a client are masked, those of a server never */
  readonly sender: 'client' | 'server';
  /** made twice: for messages, where `finish` is called at the end of each, and for control frames */
  readonly step?: (() => BodyStep | undefined) | undefined;
  /** of 32 bits, new for each frame (section 5.3) */
  readonly maskKey?: (() => number) | undefined;
}

/** Bytes that break the rules; the connection they came on is not relayed any further. */
export class FrameFault extends Error {}

const opcode = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;
const longestControl = 125;
const nothing = Buffer.alloc(0);

interface Head {
  /** of the head itself */
  readonly bytes: number;
  readonly isFinal: boolean;
  readonly code: number;
  /** of the content */
  readonly length: number;
  /** of 32 bits; zeros mask nothing */
  readonly key: number;
}

/** Takes bytes in any pieces, and writes into them; `push` throws `FrameFault`. What follows a close frame is dropped. */
export function createFrameRelay({ sender, step = () => undefined, maskKey = randomKey }: FrameOptions): BodyStep {
  const writer = createFrameWriter({ message: step(), control: step(), maskKey: sender === 'client' ? maskKey : undefined });
  const message = createMessage(writer);
  let data: Buffer = nothing;
  let at = 0;
  let head: Head | undefined;
  let done = 0;
  let isClosed = false;
  const readFrame = (): boolean => {
    head = readHead(data, at, sender);
    if (head !== undefined) {
      message.begin(head);
      at += head.bytes;
      done = 0;
    }
    return head !== undefined;
  };
  const passOn = (frame: Head, from: number): void => {
    if (!isControl(frame)) {
      message.gather(data, from, at);
      if (frame.isFinal && head === undefined) {
        message.handOn(data, true);
      }
      return;
    }
    isClosed = frame.code === opcode.close;
    if (isClosed) {
      message.handOn(data, false);
    }
    writer.control(frame.code, data.subarray(from, at));
  };
  const readContent = (frame: Head): boolean => {
    const left = frame.length - done;
    const length = Math.min(left, data.length - at);
    // A control frame is short and read whole; of others each piece goes on as it comes.
    if (length < (isControl(frame) ? left : Math.min(left, 1))) {
      return false;
    }
    const from = at;
    at += length;
    applyKey(data, { key: frame.key, from, to: at, offset: done });
    done += length;
    head = done === frame.length ? undefined : frame;
    passOn(frame, from);
    return true;
  };
  return {
    push(bytes) {
      data = data.length === 0 ? bytes : Buffer.concat([data, bytes]);
      at = 0;
      for (let isMoving = true; isMoving;) {
        isMoving = !isClosed && (head === undefined ? readFrame() : readContent(head));
      }
      message.handOn(data, false);
      // At most the head of a frame or a control frame waits: a copy lets the rest of the piece go.
      data = isClosed || at === data.length ? nothing : Buffer.from(data.subarray(at));
      return writer.take();
    },
    finish: () => nothing,
  };
}

/** Puts fragments that came together into one: each by itself would cost what a kilobyte does. */
interface Message {
  readonly begin: (head: Head) => void;
  /** This is content of it. What came before in the same bytes is moved up to. */
  readonly gather: (data: Buffer, from: number, to: number) => void;
  /** What was gathered goes on. To be called before other bytes come. */
  readonly handOn: (data: Buffer, isEnd: boolean) => void;
}

function createMessage(writer: FrameWriter): Message {
  /** its kind; `undefined`: none has begun */
  let code: number | undefined;
  let start = 0;
  let end = 0;
  return {
    begin(head) {
      if (!isControl(head)) {
        must((code !== undefined) === (head.code === opcode.continuation), 'fragments out of order');
        code ??= head.code;
      }
    },
    gather(data, from, to) {
      if (start === end) {
        [start, end] = [from, to];
      } else {
        data.copyWithin(end, from, to);
        end += to - from;
      }
    },
    handOn(data, isEnd) {
      if (code !== undefined && (isEnd || end > start)) {
        writer.message(code, data.subarray(start, end), isEnd);
      }
      code = isEnd ? undefined : code;
      [start, end] = [0, 0];
    },
  };
}

/** `undefined`: more bytes are needed. */
function readHead(data: Buffer, at: number, sender: FrameOptions['sender']): Head | undefined {
  const there = data.length - at;
  if (there < 2) {
    return undefined;
  }
  const first = data[at] ?? 0;
  const second = data[at + 1] ?? 0;
  judge(first, second, sender);
  const isMasked = sender === 'client';
  const short = second & 0x7f;
  const extended = short <= longestControl ? 0 : short === 126 ? 2 : 8;
  const bytes = 2 + extended + (isMasked ? 4 : 0);
  if (there < bytes) {
    return undefined;
  }
  const length = extended === 0 ? short : readLength(data, at + 2, extended);
  const key = isMasked ? data.readInt32BE(at + bytes - 4) : 0;
  return { bytes, isFinal: (first & 0x80) !== 0, code: first & 0x0f, length, key };
}

/** The two bytes that each head begins with. */
function judge(first: number, second: number, sender: FrameOptions['sender']): void {
  const code = first & 0x0f;
  const isMasked = (second & 0x80) !== 0;
  const short = second & 0x7f;
  must((first & 0x70) === 0, 'a reserved bit is set');
  must(isKnown(code), 'an unknown opcode');
  must(isMasked === (sender === 'client'), isMasked ? 'a server that masks' : 'a client that does not mask');
  must(!isControl({ code }) || (first >= 0x80 && short <= longestControl), 'a control frame that is long or in fragments');
  must(code !== opcode.close || short !== 1, 'a close frame with half a code');
}

/** In the shortest of its forms, as section 5.2 demands, and within what a number holds exactly. */
function readLength(data: Buffer, at: number, extended: 2 | 8): number {
  const length = extended === 2 ? data.readUInt16BE(at) : Number(data.readBigUInt64BE(at));
  must(length > (extended === 2 ? longestControl : 0xffff) && Number.isSafeInteger(length), 'a length in the wrong form');
  return length;
}

function isKnown(code: number): boolean {
  return code <= opcode.binary || (code >= opcode.close && code <= opcode.pong);
}

function isControl({ code }: { readonly code: number }): boolean {
  return code >= opcode.close;
}

/** Random bytes are fetched for many frames at once. */
let pool = nothing;
let used = 0;
function randomKey(): number {
  if (used === pool.length) {
    pool = randomBytes(4096);
    used = 0;
  }
  used += 4;
  return pool.readInt32BE(used - 4);
}

function must(condition: boolean, why: string): void {
  if (!condition) {
    throw new FrameFault(why);
  }
}
