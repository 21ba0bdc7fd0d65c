/** Calls about what is kept of a sandbox's home folder. */
export interface SnapshotCalls {
  /** Its home as it is, kept beside. It is stopped for it. */
  readonly 'snapshot-take': { params: SnapshotTakeCall; result: SnapshotView };
  readonly 'snapshot-list': { params: Named; result: readonly SnapshotView[] };
  /** Puts it back; the home that is there is lost. */
  readonly 'snapshot-restore': { params: SnapshotCall; result: SnapshotView };
  readonly 'snapshot-remove': { params: SnapshotCall; result: SnapshotView };
}

interface Named {
  readonly name: string;
}

export interface SnapshotTakeCall extends Named {
  /** one line, for whoever chooses among them */
  readonly label?: string | undefined;
}

export interface SnapshotCall extends Named {
  readonly snapshot: string;
}

export interface SnapshotView {
  readonly id: string;
  readonly label: string;
  readonly createdAt: string;
  /** on disk */
  readonly bytes: number;
}
