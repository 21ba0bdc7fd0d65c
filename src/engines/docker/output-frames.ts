/**
 * The two output streams of a command, as the engine sends them over one connection: eight bytes before each piece, the
 * first of which says which stream, the last four how long (Docker Engine API, "Attach to a container"). Pure.
 */

export interface Frames {
  readonly take: (piece: Uint8Array) => void;
  readonly stdout: () => Buffer;
  readonly stderr: () => Buffer;
}

const headerBytes = 8;

/** Keeps at most `limit` bytes of each stream. */
export function outputFrames(limit: number): Frames {
  const streams: Record<1 | 2, Buffer[]> = { 1: [], 2: [] };
  const sizes = { 1: 0, 2: 0 };
  const take = frameReader((stream, piece) => {
    const kept = piece.subarray(0, Math.max(0, limit - sizes[stream]));
    sizes[stream] += kept.length;
    streams[stream].push(kept);
  });
  return {
    take,
    stdout: () => Buffer.concat(streams[1]),
    stderr: () => Buffer.concat(streams[2]),
  };
}

/** Tells each whole piece as it comes. */
export function frameReader(tell: (stream: 1 | 2, piece: Buffer) => void): (piece: Uint8Array) => void {
  let rest = Buffer.alloc(0);
  return (piece) => {
    rest = Buffer.concat([rest, piece]);
    while (rest.length >= headerBytes && rest.length >= headerBytes + rest.readUInt32BE(4)) {
      const end = headerBytes + rest.readUInt32BE(4);
      tell(rest[0] === 2 ? 2 : 1, rest.subarray(headerBytes, end));
      rest = rest.subarray(end);
    }
  };
}
