/**
 * The outside of a lab, on this host's loopback: servers that record whatever reaches them, and a resolver that records every
 * name it is asked for. They are the oracle: what they did not see did not leave.
 */
export interface World {
  /** everything that arrived, in order */
  readonly seen: readonly Arrival[];
  /** names that the gateway asked to be resolved, in order */
  readonly asked: readonly string[];
  /** What the resolver answers for a name from now on, one list after the other, the last one for ever. */
  readonly resolve: (host: string, answers: readonly (readonly string[])[]) => void;
  /** How the servers answer an HTTP request from now on; `undefined`: with 200 and an echo. */
  readonly respond: (answer: Respond | undefined) => void;
  /** What the server of `scripted` answers from now on; `undefined`: with 200. */
  readonly script: (script: Script | undefined) => void;
  readonly ports: ServerPorts;
  /** Listens on a loopback address beside the usual servers; arrivals are written down with `server` as given. */
  readonly listen: (server: string, address: string, port: number) => Promise<{ readonly port: number }>;
  readonly close: () => Promise<void>;
}

/** Loopback ports of the servers; `inner` stands for a private service that no name may lead to. */
export type ServerPorts = Readonly<Record<ServerName, number>>;
export type ServerName = 'tls' | 'plain' | 'raw' | 'inner' | 'scripted' | 'expired' | 'early' | 'stranger' | 'misnamed';

export interface Arrival {
  /** a `ServerName`, or as given to `listen` */
  readonly server: string;
  /** `connection`: accepted; `hello`: a TLS greeting, with its name; `request`: of HTTP */
  readonly kind: 'connection' | 'hello' | 'request' | 'bytes';
  readonly at: number;
  /** server name of the greeting, or host of the request */
  readonly host?: string | undefined;
  readonly method?: string | undefined;
  /** request target as it arrived */
  readonly url?: string | undefined;
  readonly headers?: readonly (readonly [string, string])[] | undefined;
  /** fields behind the content */
  trailers?: readonly string[] | undefined;
  /** content, or the first 64 KiB of raw bytes, as latin1 */
  body?: string | undefined;
}

export interface Answer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly body?: string | Uint8Array | undefined;
}
/** Bytes of an answer, as latin1. */
export type Script = (request: Arrival) => string;
export type Respond = (request: Arrival) => Answer | Promise<Answer>;
