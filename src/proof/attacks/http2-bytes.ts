/** HTTP/2 frames byte by byte (RFC 9113 section 4), header blocks as literals without indexing (RFC 7541 section 6.2.2). */
export const frameType = {
  data: 0,
  headers: 1,
  reset: 3,
  settings: 4,
  push: 5,
  ping: 6,
  goaway: 7,
  window: 8,
  continuation: 9,
} as const;
export const flag = { endStream: 1, endHeaders: 4 } as const;

export interface FrameParts {
  readonly type: number;
  readonly stream?: number;
  readonly flags?: number;
  readonly payload?: Buffer;
}

export function frame({ type, stream = 0, flags = 0, payload = Buffer.alloc(0) }: FrameParts): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

export function headerBlock(rows: readonly (readonly [name: string, value: string])[]): Buffer {
  return Buffer.concat(rows.flatMap(([name, value]) => [Buffer.from([0]), literal(name), literal(value)]));
}

function literal(value: string): Buffer {
  return Buffer.concat([integer(Buffer.byteLength(value)), Buffer.from(value)]);
}

/** With a prefix of 7 bits (RFC 7541 section 5.1). */
function integer(value: number): Buffer {
  if (value < 127) {
    return Buffer.from([value]);
  }
  const bytes = [127];
  let rest = value - 127;
  for (; rest >= 128; rest = Math.floor(rest / 128)) {
    bytes.push((rest % 128) | 0x80);
  }
  return Buffer.from([...bytes, rest]);
}

export const preface: Buffer = Buffer.concat([
  Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
  frame({ type: frameType.settings }),
]);
