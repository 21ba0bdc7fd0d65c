/** Limits on one sandbox's traffic. Reaching one affects only that sandbox. */
export interface GatewayLimits {
  readonly connections: number;
  /** new connections a second, with a burst of the same size */
  readonly connectionsPerSecond: number;
  readonly queriesPerSecond: number;
  /** HTTP exchanges at the same time, over all connections */
  readonly exchanges: number;
  /** requests waiting behind the present one on an HTTP/1.1 connection */
  readonly pipelined: number;
  readonly headerBytes: number;
  /** content of requests that has to be read as a whole first, of all exchanges together */
  readonly heldBytes: number;
  /** what decoders of compressed requests hold at the same time */
  readonly decodingBytes: number;
  /** names that policy does not allow; allowed ones have room of their own */
  readonly names: number;
  readonly allowedNames: number;
  /** characters of different names below one wildcard, at the start and every minute from then on */
  readonly wildcardCharacters: number;
  readonly wildcardCharactersPerMinute: number;
  /** characters of different paths that a package registry did not know */
  readonly unknownPathCharacters: number;
  readonly unknownPathCharactersPerMinute: number;
  /** certificates for new hosts a second, and how many are kept */
  readonly leavesPerSecond: number;
  readonly leaves: number;
  /** until the first bytes of a connection are complete */
  readonly firstBytesMs: number;
  /** until a begun request head is complete */
  readonly headMs: number;
  readonly handshakeMs: number;
  readonly dialMs: number;
  /** until an upstream has answered the head of a response */
  readonly answerMs: number;
  /** without a byte in either direction */
  readonly idleMs: number;
  /** how long a session of HTTP/2 to an upstream is kept without a stream */
  readonly upstreamIdleMs: number;
  readonly dnsIdleMs: number;
}

export const defaultLimits: GatewayLimits = {
  connections: 512,
  connectionsPerSecond: 200,
  queriesPerSecond: 2000,
  exchanges: 512,
  pipelined: 16,
  headerBytes: 64 * 1024,
  heldBytes: 64 * 1024 * 1024,
  decodingBytes: 256 * 1024 * 1024,
  names: 65_536,
  allowedNames: 4096,
  wildcardCharacters: 1024,
  wildcardCharactersPerMinute: 32,
  unknownPathCharacters: 1024,
  unknownPathCharactersPerMinute: 64,
  leavesPerSecond: 20,
  leaves: 512,
  firstBytesMs: 60_000,
  headMs: 30_000,
  handshakeMs: 15_000,
  dialMs: 15_000,
  answerMs: 900_000,
  idleMs: 3_600_000,
  upstreamIdleMs: 30_000,
  dnsIdleMs: 10_000,
};

/** How many informational answers (1xx) of an upstream may come before its answer. */
export const informationLimit = 32;

/**
 * What one sandbox makes the gateway hold at most with the limits above: 512 connections with full buffers on both sides,
 * or half a head each, or uploads nobody takes. Measured by test/security/gateway-memory.test.ts.
 */
export const memoryBoundBytes = 512 * 1024 * 1024;
