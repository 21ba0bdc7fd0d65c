/** WebSocket frames byte by byte (RFC 6455 section 5.2), right or wrong. */
export interface FrameParts {
  readonly code: number;
  readonly content?: Buffer;
  readonly isFinal?: boolean;
  readonly key?: Buffer;
  readonly reserved?: number;
}

export function frame({ code, content = Buffer.alloc(0), isFinal = true, key, reserved = 0 }: FrameParts): Buffer {
  const length = content.length;
  const mask = key === undefined ? 0 : 0x80;
  const head = [(isFinal ? 0x80 : 0) | (reserved << 4) | code, mask | (length < 126 ? length : length < 65_536 ? 126 : 127)];
  if (length >= 65_536) {
    head.push(0, 0, 0, 0, length >>> 24, (length >>> 16) & 0xff);
  }
  if (length >= 126) {
    head.push((length >>> 8) & 0xff, length & 0xff);
  }
  const masked = key === undefined ? content : Buffer.from(content.map((byte, index) => byte ^ (key[index & 3] ?? 0)));
  return Buffer.concat([Buffer.from(head), key ?? Buffer.alloc(0), masked]);
}
