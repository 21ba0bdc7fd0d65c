import { z } from 'zod';

import { askOnce } from '../../daemon/ask-once.ts';
import { sessionId } from '../session-view.ts';
import { tool } from '../tool.ts';

/** Ends a session; its end is reported once. */
export const destroySession = tool({
  name: 'destroy_session',
  title: 'Destroy a session',
  about:
    'Ends what runs in it and removes it with its home folder and its keys. The project folder is never touched. Once more is no fault.',
  input: z.strictObject({ sessionId }),
  output: z.strictObject({
    sessionName: z.string(),
    alreadyGone: z.boolean().describe('it was destroyed, or its time was over, before'),
    removed: z.array(z.string()),
    kept: z.array(z.string()).describe('what stays on the host'),
  }),
  hints: { readOnlyHint: false, destructiveHint: true, idempotentHint: true, openWorldHint: false },
  async run(input, { connect }) {
    const { name, alreadyGone, removed, kept } = await askOnce(connect, 'destroy', { name: input.sessionId });
    return { sessionName: name, alreadyGone, removed: [...removed], kept: [...kept] };
  },
});
