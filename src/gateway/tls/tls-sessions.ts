/**
 * TLS sessions between one sandbox and one upstream. The next connection resumes one, which saves both sides the certificate
 * that was verified when the session began. They are never shared, because a session identifies the client to the server.
 */
export interface TlsSessions {
  /** The newest one that may still be used, once (RFC 8446 appendix C.4). */
  readonly take: () => Buffer | undefined;
  /** Of a connection whose certificate was verified. */
  readonly keep: (session: Buffer) => void;
}

/** Connections that are opened at the same time have one each. */
const most = 4;
/** A certificate that has ended meanwhile is noticed after this long. */
const usableMs = 600_000;

interface Kept {
  readonly session: Buffer;
  readonly untilMs: number;
}

export function createTlsSessions(nowMs: () => number = () => performance.now()): TlsSessions {
  let kept: readonly Kept[] = [];
  return {
    take() {
      const usable = kept.filter(({ untilMs }) => untilMs > nowMs());
      kept = usable.slice(0, -1);
      return usable.at(-1)?.session;
    },
    keep(session) {
      kept = [...kept, { session, untilMs: nowMs() + usableMs }].slice(-most);
    },
  };
}
