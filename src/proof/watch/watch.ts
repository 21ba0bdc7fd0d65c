import type { TemplateFolders } from '../foreign/command-template.ts';
import type { Sink } from './sink.ts';

/**
 * What is placed around a sandbox on this host for a proof, so that the verdict comes from outside: canaries that no one may
 * read or change, a sink that records who reaches it, and a process that must not be visible.
 */
export interface Watch {
  readonly folders: TemplateFolders;
  readonly canaries: WatchCanaries;
  readonly sink: Sink;
  /** Unix sockets of the sink by what they pass for: a path, or `@name` for an abstract one */
  readonly sockets: Readonly<Record<string, string>>;
  /** goes into the environment of whoever starts the sandbox: keys as people keep them there */
  readonly env: Readonly<Record<string, string>>;
  /** what questions are told, by question: where the canaries are, whom to reach */
  readonly tells: Readonly<Record<string, string>>;
  /** names that a resolver of this host was asked for; `undefined` where the host's own resolver is not ours */
  readonly asked?: (() => readonly string[]) | undefined;
  readonly close: () => Promise<void>;
}

export interface WatchCanaries {
  /** random; in all that the probes leave or send */
  readonly nonce: string;
  /** what stands in each canary file of the host, by path */
  readonly files: Readonly<Record<string, string>>;
  /** the same for files of credentials, by their name below a home */
  readonly credentials: Readonly<Record<string, string>>;
  /** values of variables, by name */
  readonly variables: Readonly<Record<string, string>>;
  /** stands in the environment of a process of the host */
  readonly process: { readonly pid: number; readonly value: string };
  /** a path beside the working folder where nothing is, and nothing may come to be */
  readonly mark: string;
  /** names that the probes try to make or change in the working folder */
  readonly protectedNames: readonly string[];
}
