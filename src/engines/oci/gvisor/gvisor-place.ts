import type { EngineRecord } from '../../records.ts';
import type { EngineLayout } from '../folders.ts';
import { fileServerId, slotBase } from '../ids.ts';
import type { GvisorPlace } from './gvisor-calls.ts';

/** An ordinary user's namespace has the caller as 0 and the sandbox's 0 as 1 (see `userMapping`). */
const userKernelId = 1;

export interface GvisorHost {
  readonly layout: EngineLayout;
  readonly isRoot: boolean;
  readonly keeper: number;
}

/** Where a sandbox that runs is called. */
export function gvisorPlace({ spec, slot }: EngineRecord, { layout, isRoot, keeper }: GvisorHost): GvisorPlace {
  const id = slot === undefined ? userKernelId : slotBase(slot) + fileServerId;
  return { kind: isRoot ? 'root' : 'user', folder: layout.sandbox(spec.id).folder, keeper, id };
}
