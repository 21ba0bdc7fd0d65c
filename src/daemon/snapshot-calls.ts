import type { Snapshot } from '../sandbox/host-files/snapshots.ts';
import type { Sandboxes } from '../sandbox/sandboxes.ts';
import type { Calling } from './server.ts';
import type { SnapshotView } from './snapshot-protocol.ts';
import { timeText } from './views.ts';

/** Calls about snapshots of a sandbox's home. A sandbox that runs but is idle is stopped for it. */
export function createSnapshotCalls(
  { snapshots }: Pick<Sandboxes, 'snapshots'>,
  { actor, own }: { readonly actor: string; readonly own: (name: string) => string },
): Pick<Calling, 'snapshot-take' | 'snapshot-list' | 'snapshot-restore' | 'snapshot-remove'> {
  return {
    'snapshot-take': async ({ name, label }) => viewOf(await snapshots.take(own(name), { label: label ?? '', actor })),
    'snapshot-list': async ({ name }) => (await snapshots.list(own(name))).map(viewOf),
    'snapshot-restore': async ({ name, snapshot }) => viewOf(await snapshots.restore(own(name), { snapshot, actor })),
    'snapshot-remove': async ({ name, snapshot }) => viewOf(await snapshots.remove(own(name), { snapshot, actor })),
  };
}

function viewOf({ id, label, createdMs, bytes }: Snapshot): SnapshotView {
  return { id, label, createdAt: timeText(createdMs), bytes };
}
