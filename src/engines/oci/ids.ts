/**
 * Which id inside is which id outside. Started by root, each live sandbox has its own range of host ids, and files keep their
 * owners through mapped mounts. Started by a user, the agent is that user and the rest are subordinate ids.
 */

export interface IdMapping {
  readonly containerID: number;
  readonly hostID: number;
  readonly size: number;
}

/** The agent; no process of a sandbox ever has id 0. */
export const agentId = 1000;
/** The first process of a sandbox: nobody, so that the agent can neither signal nor read it. */
export const keeperId = 65534;
/** The id by which gVisor's file server makes files, which it then gives to whoever asked. */
export const fileServerId = 0;
export const rangeSize = 65536;

/** Above what `useradd` and systemd give out (systemd's UIDS-GIDS.md: container ranges end at 1879048191), below 2^31. */
const firstRangeId = 1_879_048_192;
export const slotCount = 4096;

export function slotBase(slot: number): number {
  return firstRangeId + slot * rangeSize;
}

export function rootMapping(slot: number): readonly IdMapping[] {
  return [{ containerID: 0, hostID: slotBase(slot), size: rangeSize }];
}

/** Inside the outer namespace, where 0 is the caller and 1 and up are the caller's subordinate ids. */
export function userMapping(subordinates: number): readonly IdMapping[] {
  return [
    { containerID: 0, hostID: 1, size: agentId },
    { containerID: agentId, hostID: 0, size: 1 },
    { containerID: agentId + 1, hostID: agentId + 1, size: Math.min(rangeSize - 1, subordinates) - agentId },
  ];
}

/** Lines of `uid_map` for a mapped mount: what `from` owns on disk belongs to `to` in the host's ids. */
export function mountMap(from: number, to: number, size = 1): string {
  return `${from} ${to} ${size}\n`;
}
