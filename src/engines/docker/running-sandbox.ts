import type { ProcessIdentity } from '../../system/process-identity.ts';

/** A sandbox whose container runs. */
export interface RunningSandbox {
  /** id of its container */
  readonly container: string;
  /** its first process on the host */
  readonly init: ProcessIdentity;
}
