import { z } from 'zod';

import { CasemateError } from '../../base/errors.ts';
import { sessionId } from '../session-view.ts';
import { tool } from '../tool.ts';

/** What a caller of other servers looks for: it is told what there is in its place, and nothing is pretended. */
export const snapshotSession = tool({
  name: 'snapshot_session',
  title: 'Take a snapshot of a session',
  about:
    'Not there yet: it is always refused. A session that is stopped keeps its home folder and its project; memory and processes are not kept. ' +
    'Commit in the project, or copy what you need with transfer_files.',
  input: z.strictObject({ sessionId }),
  output: z.strictObject({ snapshotId: z.string() }),
  hints: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  async run(input, { connect }) {
    const client = await connect();
    // Of a session of its own alone: of others it is not told that they are there.
    await client.call('inspect', { name: input.sessionId }).finally(() => client.close());
    throw new CasemateError(
      'UNSUPPORTED',
      'there are no snapshots: no engine of this version can copy the home folder of a running sandbox, or its memory, as of one moment',
      { hint: 'Commit in the project, or copy files out with transfer_files; a session that is stopped keeps its home folder.' },
    );
  },
});
