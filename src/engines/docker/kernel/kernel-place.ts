import type { EngineKernel } from './engine-kernel.ts';

/** What an engine's context keeps of the kernel that runs its containers. Made when first needed. */
export interface KernelPlace {
  own: EngineKernel | undefined;
  observed: EngineKernel | undefined;
  observer: Observer | undefined;
  signals: Promise<Signals> | undefined;
}

export interface Observer {
  /**
   * Throws `ENGINE_FAILED` where it cannot be made, or says why it does not do that. What it may have done in the moment it was
   * lost is asked for again.
   */
  readonly ask: (...question: readonly (string | number)[]) => Promise<Buffer>;
  /** As `ask`, for what must not be done twice: throws `ENGINE_FAILED` where nobody knows whether it was done. */
  readonly askOnce: (...question: readonly (string | number)[]) => Promise<Buffer>;
  /** who answers */
  readonly hello: () => Promise<Hello>;
  /** label of its container, where there is one */
  readonly label: () => string | undefined;
  readonly close: () => Promise<void>;
}

export interface Hello {
  /** `boot_id` of random(4) */
  readonly boot: string;
  /** link of its namespace of processes */
  readonly space: string;
}

/** A socket that takes signals for commands. */
export interface Signals {
  readonly path: string;
  readonly close: () => Promise<void>;
}

export function kernelPlace(): KernelPlace {
  return { own: undefined, observed: undefined, observer: undefined, signals: undefined };
}
