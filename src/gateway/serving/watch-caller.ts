import type { Socket } from 'node:net';

import type { LiveSandbox } from '../live-sandbox.ts';
import { keepAliveMs } from './http1-answer.ts';

/** Notices when an HTTP/1.1 caller is too slow, or has gone silent. */
export interface WatchedCaller {
  readonly live: Pick<LiveSandbox, 'limits' | 'clock'>;
  /** no request is under way */
  readonly isIdle: () => boolean;
  /** a request was begun and its head is not complete */
  readonly isInHead: () => boolean;
  /** a head takes too long, or nothing has moved for very long */
  readonly slow: () => void;
  /** the connection was not used for as long as it is kept */
  readonly unused: () => void;
}

export function watchCaller(socket: Socket, { live: { limits, clock }, isIdle, isInHead, slow, unused }: WatchedCaller): void {
  let begunMs: number | undefined;
  let moved = { bytes: 0, atMs: clock.monotonicMs() };
  const look = (): void => {
    const now = clock.monotonicMs();
    begunMs = isIdle() && isInHead() ? (begunMs ?? now) : undefined;
    const bytes = socket.bytesRead + socket.bytesWritten;
    moved = bytes === moved.bytes ? moved : { bytes, atMs: now };
    if ((begunMs !== undefined && now - begunMs >= limits.headMs) || now - moved.atMs >= limits.idleMs) {
      slow();
    } else if (isIdle() && begunMs === undefined && now - moved.atMs >= keepAliveMs) {
      unused();
    }
  };
  const timer = setInterval(look, Math.max(50, limits.headMs / 6));
  socket.once('close', () => clearInterval(timer));
}
