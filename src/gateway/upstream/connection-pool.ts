import type { Socket } from 'node:net';

import { Http1Connection, type Owner } from './http1-connection.ts';

/** Connections to one destination. Idle ones are kept for a short time, and the most recently used is taken first. */
export interface ConnectionPool {
  /** one that is free; `undefined`: one has to be opened */
  readonly take: () => Http1Connection | undefined;
  /** A connection that was just opened; the caller's until it gives it back. */
  readonly add: (socket: Socket) => Http1Connection;
  /** Nothing was sent on it. */
  readonly giveBack: (connection: Http1Connection) => void;
  /** Ends all, with what they carry. */
  readonly close: () => void;
}

/** How long an unused connection is kept: less than common servers do, so that it is seldom closed under a request. */
const idleConnectionMs = 4000;
const maxIdle = 32;

interface Idle {
  readonly connection: Http1Connection;
  readonly untilMs: number;
}

export function createConnectionPool(headerBytes: number): ConnectionPool {
  const all = new Set<Http1Connection>();
  let idle: Idle[] = [];
  let timer: NodeJS.Timeout | undefined;
  const sweep = (): void => {
    timer = undefined;
    const now = performance.now();
    const old = idle.filter(({ untilMs }) => untilMs <= now);
    idle = idle.filter(({ untilMs }) => untilMs > now);
    old.forEach(({ connection }) => connection.destroy());
    watch();
  };
  const watch = (): void => {
    if (idle.length > 0) {
      timer ??= setTimeout(sweep, idleConnectionMs / 4).unref();
    }
  };
  const keep = (connection: Http1Connection, forMs: number): void => {
    if (!connection.isFree || forMs <= 0 || idle.length >= maxIdle) {
      connection.destroy();
      return;
    }
    idle.push({ connection, untilMs: performance.now() + Math.min(idleConnectionMs, forMs) });
    watch();
  };
  const owner: Owner = {
    freed: keep,
    gone(connection) {
      all.delete(connection);
      idle = idle.filter((one) => one.connection !== connection);
    },
  };
  return {
    take() {
      const now = performance.now();
      for (let last = idle.pop(); last !== undefined; last = idle.pop()) {
        if (last.connection.isFree && last.untilMs > now) {
          return last.connection;
        }
        last.connection.destroy();
      }
      return undefined;
    },
    add(socket) {
      const connection = new Http1Connection(socket, headerBytes, owner);
      all.add(connection);
      return connection;
    },
    giveBack: (connection) => keep(connection, idleConnectionMs),
    close() {
      clearTimeout(timer);
      [...all].forEach((connection) => connection.destroy());
    },
  };
}
