/**
 * A keeper that waits for its sandbox. What takes longest about a container is its network, which the engine makes even where
 * it is none; a keeper holds nothing of a sandbox but that, so it can be made before anybody has asked. It has a record like
 * every other, and a name that its sandbox does not keep.
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
