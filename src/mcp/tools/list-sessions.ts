import { z } from 'zod';

import { CasemateError } from '../../base/errors.ts';
import { askOnce } from '../../daemon/ask-once.ts';
import { sessionOf, sessionView } from '../session-view.ts';
import { tool } from '../tool.ts';

/** The caller's sessions, page by page. */

const pageSize = 50;

export const listSessions = tool({
  name: 'list_sessions',
  title: 'List sessions',
  about: 'Your sessions with their states. Those of other callers and of people are not shown.',
  input: z.strictObject({
    cursor: z.string().max(64).optional().describe('`nextCursor` of the page before'),
    limit: z.int().min(1).max(pageSize).default(pageSize).describe('at most so many'),
  }),
  output: z.strictObject({
    sessions: z.array(sessionView),
    nextCursor: z.string().optional().describe('there are more; for `cursor`'),
  }),
  hints: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  async run({ cursor, limit }, { connect }) {
    const all = (await askOnce(connect, 'ls', {})).map(sessionOf);
    const from = cursor === undefined ? 0 : all.findIndex((one) => one.sessionId === cursor) + 1;
    if (cursor !== undefined && from === 0) {
      throw new CasemateError('USAGE', 'the cursor is of a session that is gone', { hint: 'List from the beginning.' });
    }
    const sessions = all.slice(from, from + limit);
    const last = sessions.at(-1);
    return { sessions, ...(last !== undefined && from + limit < all.length ? { nextCursor: last.sessionId } : {}) };
  },
});
