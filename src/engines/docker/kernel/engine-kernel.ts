import type { ProcessIdentity } from '../../../system/process-identity.ts';
import type { SandboxConnection, SendingProcess } from '../../engine.ts';

/**
 * The kernel that runs the engine's containers: what has to be read from it and done to it from outside. Either this process
 * does it (`own-kernel.ts`), or, if that kernel is not this host's or this user may not, a container of ours does
 * (`observed-kernel.ts`). Callers do not know which. Process ids are those of that kernel.
 */
export interface EngineKernel {
  /** Whether its process ids mean the same on this host. */
  readonly isHere: () => Promise<boolean>;
  /** `undefined` when there is no such process. */
  readonly identify: (pid: number) => Promise<ProcessIdentity | undefined>;
  readonly isSame: (identity: ProcessIdentity) => Promise<boolean>;
  /** Whether nothing of it runs any more: it is gone, or each of its threads ends or has ended. */
  readonly isEnding: (pid: number) => Promise<boolean>;
  /** A file of proc(5); empty where there is none. */
  readonly read: (pid: number, file: ProcessFile) => Promise<string>;
  /** Links of the process's namespaces by their names, e.g. `net`; what may not be read is not there. */
  readonly namespaces: (pid: number) => Promise<Readonly<Record<string, string>>>;
  /** Of the sandbox with that first process, it first. */
  readonly processesInside: (init: ProcessIdentity) => Promise<readonly number[]>;
  /** As `Engine.endSession`. */
  readonly endSession: (init: ProcessIdentity, leader: string) => Promise<void>;
  /** Sends a signal to one process of that sandbox, and to no other one. */
  readonly signal: (init: ProcessIdentity, pid: number, signal: number) => Promise<void>;
  readonly sender: (init: ProcessIdentity, connection: SandboxConnection) => Promise<SendingProcess | undefined>;
  /** Carries out a plan of `stage.pl`. Answers what went wrong; empty: nothing. */
  readonly stage: (plan: string) => Promise<string>;
  /** Of a group of the memory controller, with cgroup v1. */
  readonly limitSockets: (group: string, memoryBytes: number) => Promise<void>;
  /** Bytes of a file as that process has it. Throws `ENGINE_FAILED`. */
  readonly shown: (init: ProcessIdentity, path: string) => Promise<Buffer>;
  readonly close: () => Promise<void>;
}

export type ProcessFile = 'status' | 'mountinfo' | 'cgroup' | 'uid_map' | 'gid_map';
