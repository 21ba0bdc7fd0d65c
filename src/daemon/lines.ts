import type { Socket } from 'node:net';

import { parseJson } from '../base/json.ts';
import { lineSplitter } from '../base/line-splitter.ts';
import { maxLineBytes } from './protocol.ts';

/** JSON objects over a socket, one a line. A line that is too long or not JSON ends the connection. */
export function readLines(socket: Socket, take: (message: unknown) => void): void {
  const lines = lineSplitter(maxLineBytes);
  socket.on('data', (piece: Buffer) => {
    for (const line of lines.take(piece)) {
      // Whoever was hung up on is not listened to any more, whatever came with that.
      if (socket.destroyed) {
        return;
      }
      if (line === undefined || !deliver(line, take)) {
        socket.destroy();
      }
    }
  });
}

function deliver(line: Buffer, take: (message: unknown) => void): boolean {
  const message = parseJson(line.toString('utf8'));
  if (message === undefined) {
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
