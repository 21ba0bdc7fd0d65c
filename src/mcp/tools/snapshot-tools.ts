import { z } from 'zod';

import { visible } from '../../base/text.ts';
import { askOnce } from '../../daemon/ask-once.ts';
import type { SnapshotView } from '../../daemon/snapshot-protocol.ts';
import { sessionId } from '../session-view.ts';
import { tool } from '../tool.ts';

/** Saves and restores the home folder of a session. */

const snapshotId = z
  .string()
  .regex(/^sn-[0-9a-f]{16}$/, 'is not the id of a snapshot')
  .describe('of list_snapshots');
const snapshot = z.strictObject({
  snapshotId: z.string(),
  label: z.string(),
  createdAt: z.string(),
  bytes: z.number().describe('on the disk of the host'),
});

function shown({ id, label, createdAt, bytes }: SnapshotView): z.output<typeof snapshot> {
  return { snapshotId: id, label: visible(label), createdAt, bytes };
}

export const snapshotSession = tool({
  name: 'snapshot_session',
  title: 'Keep the home folder of a session as it is',
  about:
    'Keeps /home/agent (the conversations of the agent, its settings, what was installed there) as it is, for restore_session. Not the project folder: ' +
    'git is for that. It is refused while a command runs; the session is stopped for it and goes on with the next command. At most four are kept, and they go with the session.',
  input: z.strictObject({ sessionId, label: z.string().max(200).optional().describe('a line to know it by') }),
  output: snapshot,
  hints: { readOnlyHint: false, destructiveHint: false, idempotentHint: false, openWorldHint: false },
  async run({ label, ...session }, { connect }) {
    return shown(await askOnce(connect, 'snapshot-take', { name: session.sessionId, label }));
  },
});

export const listSnapshots = tool({
  name: 'list_snapshots',
  title: 'List what is kept of a session',
  about: 'The snapshots of the home folder of this session, oldest first.',
  input: z.strictObject({ sessionId }),
  output: z.strictObject({ snapshots: z.array(snapshot) }),
  hints: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  async run(input, { connect }) {
    return { snapshots: (await askOnce(connect, 'snapshot-list', { name: input.sessionId })).map(shown) };
  },
});

export const restoreSession = tool({
  name: 'restore_session',
  title: 'Put the home folder of a session back',
  about:
    'Puts /home/agent back as snapshot_session kept it; what is there now is lost. The project folder, budgets, approvals and the journal stay as they are. ' +
    'It is refused while a command runs; the session goes on with the next command.',
  input: z.strictObject({ sessionId, snapshotId }),
  output: snapshot,
  hints: { readOnlyHint: false, destructiveHint: true, idempotentHint: true, openWorldHint: false },
  async run(input, { connect }) {
    return shown(await askOnce(connect, 'snapshot-restore', { name: input.sessionId, snapshot: input.snapshotId }));
  },
});

export const removeSnapshot = tool({
  name: 'remove_snapshot',
  title: 'Remove what is kept of a session',
  about: 'Removes one snapshot of this session.',
  input: z.strictObject({ sessionId, snapshotId }),
  output: snapshot,
  hints: { readOnlyHint: false, destructiveHint: true, idempotentHint: false, openWorldHint: false },
  async run(input, { connect }) {
    return shown(await askOnce(connect, 'snapshot-remove', { name: input.sessionId, snapshot: input.snapshotId }));
  },
});
