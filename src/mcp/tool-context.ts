import type { Client } from '../daemon/client.ts';
import type { HostBounds } from './host-place.ts';
import type { ProcessIdentity } from '../system/process-identity.ts';

export interface ToolContext {
  /** A connection to the daemon on behalf of the caller of this tool. Whoever opens it closes it. */
  readonly connect: (progress?: (text: string) => void) => Promise<Client>;
  /** Aborts when the caller cancels the call or goes away. */
  readonly signal: AbortSignal;
  /** Told to the caller where it asked for progress; one line, safe to show. */
  readonly progress: (message: string) => void;
  /** That the answer is long, and counts as so many calls more. Throws `RATE_LIMITED` where these are too many just now. */
  readonly spend: (calls: number) => void;
  /** the process that starts commands, so that nothing outlives it */
  readonly identity: () => Promise<ProcessIdentity | undefined>;
  readonly defaults: SessionDefaults;
  /** where on the host the caller may read and write files */
  readonly host: HostBounds;
  readonly background: Background;
}

/** What the person who set this server up said in its environment, for sessions that do not say otherwise. */
export interface SessionDefaults {
  readonly useBedrock: boolean;
  readonly awsRegion: string | undefined;
  readonly bedrockModel: string | undefined;
  readonly bedrockSmallModel: string | undefined;
}

/** Commands and tasks that go on after the call that started them has been answered. They end with the server's caller. */
export interface Background {
  /** Starts work with a signal of its own; resolves as soon as it has a name. */
  readonly start: (kind: string, context: ToolContext, work: Work) => Promise<string>;
  /** The end, or `undefined` where it has not come within that time. Throws where there is no such work. */
  readonly wait: (id: string, timeoutMs: number, signal: AbortSignal) => Promise<Ended | undefined>;
  readonly interrupt: (id: string) => void;
  /** something has not ended */
  readonly isBusy: () => boolean;
  readonly close: () => void;
}

/** Tells its name once it is known; resolves to its result. */
export type Work = (context: ToolContext, named: (id: string) => void) => Promise<Readonly<Record<string, unknown>>>;

export interface Ended {
  readonly kind: string;
  readonly result?: Readonly<Record<string, unknown>> | undefined;
  /** of a fault: what went wrong */
  readonly error?: unknown;
}
