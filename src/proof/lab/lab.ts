import type { Duplex, Readable, Writable } from 'node:stream';

import type { JournalRecord } from '../../journal/record.ts';
import type { Inside, InsideOptions, Target } from '../target.ts';
import type { Hand } from './hand.ts';
import type { World } from './world.ts';

/**
 * A separate installation for attacks that must not touch the user's: its own state, journal, keys, daemon and hosts, but the
 * same program, engine, images and policy. Its credentials are canaries, which exist nowhere else.
 */
export interface Lab {
  /** private folder; everything of the lab is below it */
  readonly folder: string;
  /** of every program of the lab */
  readonly env: Readonly<Record<string, string>>;
  readonly places: LabPlaces;
  /** Runs the program's command line in the lab. */
  readonly casemate: (args: readonly string[], options?: CasemateOptions) => Promise<Inside>;
  /** Starts it with streams that are this process's, for what lasts longer than a call. */
  readonly open: (args: readonly string[]) => OpenProgram;
  readonly daemon: LabDaemon;
  /** runs under the policy that is proved, plus rules for the lab's own hosts */
  readonly twin: LabSandbox;
  /** another one, of the same policy, made when first asked for */
  readonly peer: () => Promise<LabSandbox>;
  /** Makes a folder, with all in it by now, one that a sandbox can work on as its own. */
  readonly give: (folder: string) => Promise<void>;
  /** A further sandbox with a workspace of its own. */
  readonly make: (name: string, options?: MakeOptions) => Promise<LabSandbox>;
  readonly world: World;
  readonly canaries: Canaries;
  /** whether the lab has a package registry: it does not where nothing in a temporary folder can be run */
  readonly hasRegistry: boolean;
  /** What the journal holds by now, oldest first. */
  readonly records: () => Promise<readonly JournalRecord[]>;
  readonly remove: () => Promise<void>;
}

export interface MakeOptions {
  /** default: yes */
  readonly start?: boolean | undefined;
  /** none may be more than the policy that is proved gives */
  readonly limits?: LabLimits | undefined;
}

/** As a policy file has them; sizes in bytes. */
export type LabLimits = Readonly<Partial<Record<'memory' | 'cpus' | 'pids' | 'disk' | 'fileSize' | 'files', number>>>;

export interface LabPlaces {
  readonly state: string;
  readonly config: string;
  readonly runtime: string;
}

export interface CasemateOptions extends InsideOptions {
  readonly cwd?: string | undefined;
  readonly env?: Readonly<Record<string, string>> | undefined;
  /** in a terminal of its own: input is what is typed, output what is shown */
  readonly atTerminal?: boolean | undefined;
  /** a program and its first arguments, which starts ours; a daemon that our program starts is below it, too */
  readonly through?: readonly string[] | undefined;
  /** file that a careless caller leaves open as descriptor 9 */
  readonly leftOpen?: string | undefined;
}

export interface OpenProgram {
  readonly from: Readable;
  readonly to: Writable;
  readonly end: () => void;
}

export interface LabDaemon {
  readonly pid: () => Promise<number>;
  /** starts it again after it was killed; resolves when it answers */
  readonly start: () => Promise<void>;
  readonly stop: () => Promise<void>;
}

export interface LabSandbox {
  readonly name: string;
  readonly id: string;
  /** absolute, on the host */
  readonly workspace: string;
  readonly target: Target;
  /** A TCP connection made by a process inside to a name or address; its bytes are the caller's. Rejects with the errno inside. */
  readonly connect: (host: string, port: number) => Promise<Duplex>;
  /** What the resolver inside answers: addresses, or the name of the failure. */
  readonly lookup: (host: string) => Promise<readonly string[] | string>;
  /** Takes and holds what there is to take; started when first asked for, and anew after it was ended. */
  readonly hand: () => Promise<Hand>;
}

export interface Canaries {
  /** value of the lab's credential; exists sealed in the lab and in what the gateway sends */
  readonly key: string;
  /** the file that it is read from */
  readonly keyFile: string;
  /** the same of the credential that probes change */
  readonly rotating: string;
  readonly rotatingFile: string;
  /** keys of AWS: the id, and what of them is secret */
  readonly signingId: string;
  readonly signing: Readonly<Record<'secret' | 'token', string>>;
  readonly signingFile: string;
  /** file beside the workspace that nobody in a sandbox may read or change */
  readonly hostFile: string;
  readonly hostText: string;
  /** path that comes into being only if something planted was executed on the host */
  readonly mark: string;
}
