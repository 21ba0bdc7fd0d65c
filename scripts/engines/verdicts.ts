/** What the same probes said of a sandbox under each engine: the form of `docs/engines.json`, from which the page is made. */
import type { Verdict } from '../../src/proof/finding.ts';

export interface EngineVerdicts {
  readonly casemate: string;
  readonly machine: Readonly<Record<string, string | number>>;
  readonly engines: readonly EngineRun[];
}

export interface EngineRun {
  readonly name: string;
  /** of `prove`, as it was run */
  readonly options: readonly string[];
  /** day of the run, RFC 3339 */
  readonly date: string;
  readonly profile: string;
  /** of the runtime, as the proof has it */
  readonly version: string;
  readonly waived: readonly string[];
  readonly probes: readonly ProbeRun[];
  /** probes that were run again later, after a fault was mended, or that are newer than the run */
  readonly later?: readonly string[] | undefined;
  /** why nothing was measured; then there are no probes */
  readonly missing?: string | undefined;
}

export interface ProbeRun {
  readonly probe: string;
  readonly verdict: Verdict;
  readonly why?: string | undefined;
  /** rows in which the engine differs and says so */
  readonly differs: readonly string[];
}

/** What is proved, and with what accepted; one that this machine lacks is said to be missing. */
export const engineChoices = {
  'oci/runc': ['--engine', 'oci', '--runtime', 'runc'],
  'oci/runsc': ['--engine', 'oci', '--runtime', 'runsc'],
  docker: ['--engine', 'docker', '--waive', 'user-namespace', '--waive', 'disk-limit'],
  podman: ['--engine', 'podman', '--waive', 'user-namespace', '--waive', 'disk-limit'],
  // Where an ordinary user has no groups (cgroup v1) two limits are not there; where there are, this waives nothing.
  'podman (rootless)': ['--engine', 'podman', '--waive', 'disk-limit', '--waive', 'memory-limit', '--waive', 'cpu-limit'],
} as const satisfies Readonly<Record<string, readonly string[]>>;

/** Those that are proved by an ordinary user alone; the others by root. */
export const ofOrdinaryUser: ReadonlySet<string> = new Set(['podman (rootless)']);
