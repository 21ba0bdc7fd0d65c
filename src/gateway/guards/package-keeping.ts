import type { LiveSandbox } from '../live-sandbox.ts';
import { createPackageMemory, type PackageMemory } from './package-memory.ts';

/** What is kept for one sandbox while it requests packages: the verdicts, and how much metadata is held right now. */
export interface Keeping {
  readonly memory: PackageMemory;
  heldBytes: number;
}

const keepings = new WeakMap<LiveSandbox, Keeping>();

export function keepingOf(live: LiveSandbox): Keeping {
  const keeping = keepings.get(live) ?? { memory: createPackageMemory(), heldBytes: 0 };
  keepings.set(live, keeping);
  return keeping;
}
