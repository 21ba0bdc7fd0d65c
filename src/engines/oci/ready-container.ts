import type { BoundPorts } from '../listen.ts';
import type { Begun } from './container.ts';
import type { EngineRecord } from '../records.ts';
import type { ProcessIdentity } from '../../system/process-identity.ts';

/**
 * A container that waits for its sandbox: of the image and the limits that one before it had, with a first process that
 * sleeps, and without workspace, home, files, name or anything secret. Whoever asks for the same kind gets it and has its
 * own mounts handed in. It has a record like every other, and its first process ends with this one.
 */
export interface Ready {
  readonly record: EngineRecord;
  readonly kind: string;
  readonly init: ProcessIdentity;
  readonly begun: Begun;
  /** Where the gateway will listen in it. Nobody inside can connect yet, and whoever could is served by nobody. */
  readonly bound: BoundPorts;
}
