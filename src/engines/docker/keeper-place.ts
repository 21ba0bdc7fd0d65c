/**
 * A keeper made ahead of its sandbox. The slowest part of a container is its network, which the engine sets up even if there is
 * none. A keeper holds nothing else of a sandbox, so it can be made before anyone asks. It has a record like every other, and a
 * name that its sandbox will not keep.
 */
export interface ReadyKeeper {
  /** by which its container is labelled, and its folder named */
  readonly id: string;
  /** id of its container */
  readonly container: string;
  readonly image: string;
}

export interface KeeperPlace {
  /** how many may wait */
  count: number;
  readonly waiting: Set<Promise<ReadyKeeper | undefined>>;
  soon: NodeJS.Timeout | undefined;
  idle: NodeJS.Timeout | undefined;
  isClosed: boolean;
}

export function keeperPlace(): KeeperPlace {
  return { count: 1, waiting: new Set(), soon: undefined, idle: undefined, isClosed: false };
}
