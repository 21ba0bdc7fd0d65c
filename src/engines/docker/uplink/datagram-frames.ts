/** Datagrams in a stream: two bytes of length, six of the sender (address and port in network order), then the bytes. Pure. */
export interface FramedDatagram {
  readonly source: Uint8Array;
  readonly data: Uint8Array;
}

const headerBytes = 8;

export function datagramReader(take: (datagram: FramedDatagram) => void): (piece: Uint8Array) => void {
  let rest = Buffer.alloc(0);
  return (piece) => {
    rest = Buffer.concat([rest, piece]);
    while (rest.length >= headerBytes && rest.length >= headerBytes + rest.readUInt16BE(0)) {
      const end = headerBytes + rest.readUInt16BE(0);
      take({ source: rest.subarray(2, headerBytes), data: rest.subarray(headerBytes, end) });
      rest = rest.subarray(end);
    }
  };
}
