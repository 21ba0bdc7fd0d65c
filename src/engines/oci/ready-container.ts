import type { BoundPorts } from '../listen.ts';
import type { Begun } from './container.ts';
import type { EngineRecord } from '../records.ts';
import type { ProcessIdentity } from '../../system/process-identity.ts';

/**
 * A container made ahead of its sandbox: with the image and the limits of an earlier one and a sleeping first process, but
 * without workspace, home, files, name or anything secret. The next request of the same kind gets it, and its own mounts are
 * handed in. It has a record like every other, and its first process ends with this one.
 */
export interface Ready {
  readonly record: EngineRecord;
  readonly kind: string;
  readonly init: ProcessIdentity;
  readonly begun: Begun;
  /** Where the gateway will listen in it. Nobody inside can connect yet, and whoever could is served by nobody. */
  readonly bound: BoundPorts;
}
