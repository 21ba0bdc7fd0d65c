import type { Target } from './target.ts';
import type { LayerName } from '../base/layers.ts';
import type { Row, Seen } from './finding.ts';
import type { GuaranteeId } from './guarantees.ts';
import type { Lab } from './lab/lab.ts';
import type { Watch } from './watch/watch.ts';

/** What a probe is: it attacks, looks from outside, and returns rows. It does not decide the verdict. */
export interface ProbeRow {
  /** one sentence: what is tried */
  readonly title: string;
  /** guarantees it attacks */
  readonly proves: readonly GuaranteeId[];
  /** `quick`: needs a running sandbox alone, and milliseconds; `full`: may need the lab and time */
  readonly profile: Profile;
  /** questions that are put inside, all in one go, before `run` */
  readonly asks?: readonly string[] | undefined;
  /** protection layers it rests on, and what each bears */
  readonly layers?: RestsOn | undefined;
  /** CVE, standard or report that it comes from */
  readonly source?: string | undefined;
}

/**
 * The rows that rest on a layer, as `what: seen`: where a person waived it, these attacks may get through, which is what they
 * accepted. The others of the probe are judged as ever.
 */
export type RestsOn = Partial<Readonly<Record<LayerName, RegExp>>>;

/** Where a layer bears a whole probe. */
export const everyRow = /^/;

/** Attacks any sandbox that runs, whoever made it. */
export interface SandboxProbe extends ProbeRow {
  readonly where: 'sandbox';
  /** its rows hold in a sandbox that is not ours, too: answers from inside alone decide */
  readonly foreign?: boolean | undefined;
  readonly run: (bench: Bench) => Promise<Seen>;
  /** What this host sees of the sandbox, without asking anything inside: added to the rows of `run`, and what `inspect` ticks. */
  readonly outside?: ((target: Target, uid: number) => Promise<readonly Row[]>) | undefined;
}

/** Attacks a twin of the sandbox in a lab: an installation of its own, where faults and hostile hosts can be made. */
export interface LabProbe extends ProbeRow {
  readonly where: 'lab';
  readonly run: (lab: Lab, bench: Bench) => Promise<Seen>;
}

/** Attacks any sandbox while this host watches: canaries, a sink and a process lie around it, and decide. */
export interface WatchedProbe extends ProbeRow {
  readonly where: 'watched';
  readonly run: (bench: Bench, watch: Watch) => Promise<Seen>;
}

export type Probe = SandboxProbe | LabProbe | WatchedProbe;
export type ProbeTable = Readonly<Record<string, Probe>>;

export const profiles = ['quick', 'full'] as const;
export type Profile = (typeof profiles)[number];

/** Ways into a sandbox. */
export const entries = ['run', 'exec', 'shell'] as const;
export type Entry = (typeof entries)[number];

export interface Bench {
  readonly target: Target;
  /** The answer to a question that the probe named in `asks`; throws where there was none. */
  readonly answer: (question: string) => unknown;
  readonly uid: number;
  /** Seen from this host: its programs run on a kernel of their own (gVisor's), and what that kernel answers is not this host's answer. */
  readonly ownKernel: boolean;
}
