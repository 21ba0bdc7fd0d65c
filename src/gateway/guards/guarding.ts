import type { Guards } from '../../policy/guards.ts';
import type { KnownSecrets } from '../secrets/known-secrets.ts';
import type { Ledger } from './ledger.ts';

/** What the daemon passes to the gateway for the guards of one sandbox, besides its rules. */
export interface Guarding {
  readonly rules: Guards;
  readonly ledger: Ledger;
  /** of the whole daemon */
  readonly known: KnownSecrets;
  /** `npm:name@version` and `pypi:name@version` that the project's lock files named when the sandbox started */
  readonly locked: ReadonlySet<string>;
  /** who inside holds a connection */
  readonly processOf?: ((connection: SenderPlace) => Promise<Sender | undefined>) | undefined;
  readonly onAlarm?: (() => void) | undefined;
}

/** A connection as the sandbox sees it. */
export interface SenderPlace {
  readonly localPort: number;
  readonly remoteAddress: string;
  readonly remotePort: number;
}

export interface Sender {
  readonly pid: number;
  readonly command: string;
}
