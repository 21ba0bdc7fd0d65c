import type { Duplex, Readable } from 'node:stream';

import type { EngineLimits } from './engine-limits.ts';

/**
 * Containers that belong to one sandbox: they have its hardening and its network, see no more than it sees, and share its
 * limits. Nothing in this interface can change the confinement. Ids are the engine's own, in full.
 */
export interface SandboxContainers {
  /** all of them run as this, whatever their image says */
  readonly agent: { readonly uid: number; readonly gid: number };
  /** what all that run may have together */
  readonly share: EngineLimits;
  readonly list: () => Promise<readonly NestedContainer[]>;
  /** Its id. Throws `PATH_INVALID` for a place that is not there or leads through a link. */
  readonly create: (spec: ContainerSpec) => Promise<string>;
  /** Throws `UNSUPPORTED` when those that run leave too little of the share. */
  readonly start: (id: string) => Promise<void>;
  readonly stop: (id: string, seconds: number | undefined) => Promise<void>;
  readonly kill: (id: string, signal: string) => Promise<void>;
  readonly remove: (id: string) => Promise<void>;
  readonly resize: (place: ContainerPlace, size: { readonly rows: number; readonly columns: number }) => Promise<void>;
  /** What the engine says of it; of a command, where that is asked for. */
  readonly inspect: (place: ContainerPlace) => Promise<unknown>;
  /** The engine's answer, once it has ended. */
  readonly wait: (id: string, until: 'not-running' | 'next-exit' | 'removed', signal: AbortSignal) => Promise<Readable>;
  readonly logs: (id: string, choice: LogChoice, signal: AbortSignal) => Promise<Readable>;
  readonly attach: (id: string, choice: AttachChoice, signal: AbortSignal) => Promise<Duplex>;
  /** Id of a command that starts when it is asked to. */
  readonly newCommand: (id: string, command: NestedCommand) => Promise<string>;
  /** `undefined`: nobody listens to it */
  readonly startCommand: (
    command: string,
    choice: { readonly tty: boolean; readonly detach: boolean },
    signal: AbortSignal,
  ) => Promise<Duplex | undefined>;
  /** One JSON document a line, of containers of this sandbox alone. */
  readonly events: (choice: { readonly since?: string; readonly until?: string }, signal: AbortSignal) => Promise<Readable>;
  readonly images: ContainerImages;
  /** Makes the folder of a named volume, which goes with the sandbox. */
  readonly makeVolume: (name: string) => Promise<void>;
  /** Throws `UNSUPPORTED` where a container, also one that does not run, has it. */
  readonly removeVolume: (name: string) => Promise<void>;
}

export type ContainerPlace = { readonly container: string } | { readonly command: string };

export interface LogChoice {
  readonly stdout: boolean;
  readonly stderr: boolean;
  readonly follow: boolean;
  readonly timestamps: boolean;
  readonly tail: string;
  readonly since: string;
  readonly until: string;
}

export interface AttachChoice {
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
  readonly logs: boolean;
  readonly stream: boolean;
}

export interface NestedContainer {
  readonly id: string;
  /** as the engine says: `created`, `running`, `exited`, ... */
  readonly state: string;
  readonly status: string;
  /** seconds since 1970 */
  readonly createdS: number;
  /** what its maker wrote on it */
  readonly note: string;
  readonly imageId: string;
  readonly command: string;
}

export interface ContainerSpec {
  /** kept with the container, and given back by `list` */
  readonly note: string;
  /** id of an image */
  readonly image: string;
  /** `undefined`: the image's */
  readonly entrypoint?: readonly string[] | undefined;
  readonly command?: readonly string[] | undefined;
  readonly env: readonly string[];
  /** empty: the image's */
  readonly workingDir: string;
  readonly tty: boolean;
  readonly openStdin: boolean;
  readonly stdinOnce: boolean;
  readonly stopSignal?: string | undefined;
  readonly stopSeconds?: number | undefined;
  readonly health?: Readonly<Record<string, unknown>> | undefined;
  readonly mounts: readonly NestedMount[];
  /** folders in memory */
  readonly memoryFolders: readonly { readonly target: string; readonly bytes: number; readonly isExecutable: boolean }[];
  /** that of the sandbox, or none but a loopback of its own */
  readonly network: 'sandbox' | 'none';
  readonly memoryBytes: number;
  readonly pids: number;
  readonly cpus: number;
  readonly isReadonly: boolean;
  readonly autoRemove: boolean;
}

/** `source`: a path as the sandbox sees it, or the name of a volume. */
export interface NestedMount {
  readonly kind: 'path' | 'volume';
  readonly source: string;
  readonly target: string;
  readonly isReadonly: boolean;
}

export interface NestedCommand {
  readonly command: readonly string[];
  readonly env: readonly string[];
  readonly workingDir: string;
  readonly tty: boolean;
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
}

export interface ContainerImages {
  /** of the sandbox itself */
  readonly sandbox: () => Promise<string>;
  /** Id of an image of the host's engine by its name; `undefined`: there is none. */
  readonly named: (reference: string) => Promise<string | undefined>;
  /** Ids of those that were made for this sandbox; without what others are made from. */
  readonly own: () => Promise<readonly string[]>;
  /** A name in the engine, so that nobody who clears away nameless images takes it, nor the engine with one made from it. */
  readonly keep: (id: string) => Promise<void>;
  readonly inspect: (id: string) => Promise<unknown>;
  readonly history: (id: string) => Promise<unknown>;
  readonly removeOwn: (id: string) => Promise<void>;
  /** A container's files as an image of this sandbox, with these settings. */
  readonly commit: (container: string, config: Readonly<Record<string, unknown>>) => Promise<string>;
  /** An image from instructions that run nothing, and what they copy. Answers its id. */
  readonly assemble: (assembly: Assembly, signal: AbortSignal) => Promise<string>;
}

export interface Assembly {
  /** id of the image it begins with; `undefined`: nothing */
  readonly from: string | undefined;
  readonly instructions: readonly Instruction[];
  /** entries of a tar, below `c/`, without its end; of a form that was checked */
  readonly context: () => Readable;
}

/** What an image is made of without anything running. There is no instruction here that runs, fetches or unpacks. */
export type Instruction =
  /** for the agent; `from`: id of an image, else what came with the build */
  | { readonly kind: 'copy'; readonly from?: string | undefined; readonly sources: readonly string[]; readonly target: string }
  /** the agent's, where it is not there yet */
  | { readonly kind: 'folder'; readonly path: string }
  | { readonly kind: 'env' | 'label'; readonly name: string; readonly value: string }
  | { readonly kind: 'list'; readonly word: 'CMD' | 'ENTRYPOINT' | 'VOLUME' | 'SHELL'; readonly values: readonly string[] }
  | { readonly kind: 'word'; readonly word: 'WORKDIR' | 'USER' | 'EXPOSE' | 'STOPSIGNAL'; readonly value: string };
