import { z } from 'zod';

import { askOnce } from '../../daemon/ask-once.ts';
import { endOfKept, lastLines, listKeptOutput } from '../../sandbox/commands/kept-output.ts';
import { sessionId } from '../session-view.ts';
import { tool } from '../tool.ts';

/** What was printed inside, from the host's own copy. */

const maxBytes = 256 * 1024;

export const getSessionLogs = tool({
  name: 'get_session_logs',
  title: 'Read what a session printed',
  about:
    'The last lines of what commands and the agent printed in this session, with control characters as escapes. It is kept on the host, ' +
    'where nothing in the sandbox can change it.',
  input: z.strictObject({
    sessionId,
    tail: z.int().min(1).max(10_000).default(100).describe('at most so many lines, the last ones'),
    executionId: z
      .string()
      .regex(/^ex-[0-9a-f]{16}$/, 'is not the id of an execution')
      .optional()
      .describe('only of this command'),
  }),
  output: z.strictObject({
    entries: z.array(z.strictObject({ executionId: z.string(), startedAt: z.string(), lines: z.array(z.string()) })),
    truncated: z.boolean().describe('there is more than `tail` lines or 256 KiB'),
  }),
  hints: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  async run({ tail, executionId, ...session }, { connect }) {
    const { folder } = await askOnce(connect, 'inspect', { name: session.sessionId });
    const kept = (await listKeptOutput(folder)).filter(({ execution }) => executionId === undefined || execution === executionId);
    let room = maxBytes;
    let lines = tail;
    let truncated = false;
    const entries = [];
    // The newest first, and of each no more than is shown: many callers ask at one time.
    for (const { execution, startedMs, size } of kept.toReversed()) {
      // oxlint-disable-next-line no-await-in-loop -- how much depends on those before
      const bytes = room === 0 || lines === 0 ? Buffer.alloc(0) : await endOfKept(folder, execution, room);
      const all = lastLines(bytes, Number.POSITIVE_INFINITY);
      const shown = lines === 0 ? [] : all.slice(-lines);
      truncated ||= shown.length < all.length || size > bytes.length;
      lines -= shown.length;
      room = Math.max(0, room - bytes.length);
      if (shown.length > 0) {
        entries.push({ executionId: execution, startedAt: new Date(startedMs).toISOString(), lines: [...shown] });
      }
    }
    return { entries: entries.toReversed(), truncated };
  },
  text: ({ entries }) => entries.flatMap(({ lines }) => lines).join('\n'),
});
