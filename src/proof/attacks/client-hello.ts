/** ClientHello messages byte by byte, right or wrong. */
function u16(value: number): Buffer {
  return Buffer.from([value >> 8, value & 0xff]);
}

export function extension(type: number, content: Buffer): Buffer {
  return Buffer.concat([u16(type), u16(content.length), content]);
}

/** A server_name extension; each entry is a name type and a name. */
export function serverNames(...entries: readonly (readonly [type: number, name: string])[]): Buffer {
  const list = Buffer.concat(
    entries.map(([type, name]) =>
      Buffer.concat([Buffer.from([type]), u16(Buffer.byteLength(name, 'latin1')), Buffer.from(name, 'latin1')]),
    ),
  );
  return extension(0, Buffer.concat([u16(list.length), list]));
}

export interface HelloParts {
  readonly extensions: readonly Buffer[];
  /** splits the message over two records after so many bytes */
  readonly cut?: number;
}

export function clientHello({ extensions, cut }: HelloParts): Buffer {
  const block = Buffer.concat(extensions);
  const body = Buffer.concat([
    Buffer.from([3, 3]),
    Buffer.alloc(32, 7),
    Buffer.from([0]),
    u16(2),
    Buffer.from([0x13, 0x01]),
    Buffer.from([1, 0]),
    ...(extensions.length === 0 ? [] : [u16(block.length), block]),
  ]);
  const message = Buffer.concat([Buffer.from([1, 0]), u16(body.length), body]);
  const record = (bytes: Buffer): Buffer => Buffer.concat([Buffer.from([0x16, 3, 1]), u16(bytes.length), bytes]);
  return cut === undefined ? record(message) : Buffer.concat([record(message.subarray(0, cut)), record(message.subarray(cut))]);
}
