import type { Socket } from 'node:net';

import { maxLineBytes } from './protocol.ts';

/** JSON objects over a socket, one a line. A line that is too long or is not JSON ends the connection. */
export function readLines(socket: Socket, take: (message: unknown) => void): void {
  let pending: Buffer[] = [];
  let size = 0;
  socket.on('data', (piece: Buffer) => {
    let rest = piece;
    // Whoever was hung up on is not listened to any more, whatever came with that.
    for (let end = rest.indexOf(10); end >= 0 && !socket.destroyed; end = rest.indexOf(10)) {
      const line = Buffer.concat([...pending, rest.subarray(0, end)]);
      pending = [];
      size = 0;
      rest = rest.subarray(end + 1);
      if (!deliver(line, take)) {
        socket.destroy();
        return;
      }
    }
    size += rest.length;
    pending.push(rest);
    if (size > maxLineBytes) {
      socket.destroy();
    }
  });
}

function deliver(line: Buffer, take: (message: unknown) => void): boolean {
  let message: unknown;
  try {
    message = JSON.parse(line.toString('utf8'));
  } catch {
    return false;
  }
  take(message);
  return true;
}

export function writeLine(socket: Socket, message: unknown): void {
  if (!socket.destroyed) {
    socket.write(`${JSON.stringify(message)}\n`);
  }
}
