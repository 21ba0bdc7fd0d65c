/** One guard of the product, turned off in a copy of its source: what shows that a probe can fail. */
export interface Mutant extends Edit {
  /** in kebab-case, unique among all */
  readonly name: string;
  /** one sentence: which guard is off */
  readonly weakens: string;
  /** a guard that stands behind the first one and would hide it */
  readonly also?: readonly Edit[] | undefined;
  /** ids of probes; each of them must say that the guarantee is broken */
  readonly caughtBy: readonly string[];
  /** which runtime the guard is of; default: the one that is asked for, or that of the policy */
  readonly runtime?: 'runsc' | undefined;
  /** of which engine the guard is, where not of `oci`; what it lacks is waived */
  readonly engine?: 'docker' | 'podman' | undefined;
  /** what the host must have for the guard to be there at all */
  readonly needs?: Need | undefined;
  /** `command`: it is proved as a sandbox of somebody else's, through `prove --command` */
  readonly through?: 'command' | undefined;
}

/** A replacement in one file of the source. */
export interface Edit {
  /** from the root of the checkout, e.g. `src/engines/oci/bundle.ts` */
  readonly file: string;
  /** occurs exactly once in the file */
  readonly find: string;
  readonly replace: string;
}

/** `root`, `user`: who runs it; `cgroup-v1`: memory of sockets is counted apart; `priorities`: the caller may raise them (RLIMIT_NICE); the others are runtimes that must be installed. */
export type Need = 'root' | 'user' | 'cgroup-v1' | 'priorities' | 'runsc' | 'crun';
