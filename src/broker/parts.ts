import type { SandboxContainers } from '../engines/containers.ts';
import type { Clock } from '../system/clock.ts';
import type { KeptNames } from './kept-names.ts';

/** What all handlers of one sandbox's broker work with. */
export interface BrokerParts {
  /** name of the sandbox */
  readonly sandbox: string;
  readonly offer: Offer;
  readonly containers: SandboxContainers;
  readonly names: KeptNames;
  readonly clock: Clock;
  /** Names of containers may have changed. */
  readonly renamed: () => Promise<void>;
}

export interface Offer {
  readonly build: boolean;
  /** images of the engine, by name and tag */
  readonly images: readonly string[];
}
