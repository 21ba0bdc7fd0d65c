import { setTimeout as sleep } from 'node:timers/promises';

import { z } from 'zod';

import { askOnce } from '../../daemon/ask-once.ts';
import { journalPlace } from '../../journal/journal-place.ts';
import { sandboxEvents } from '../../sandbox/recorded/sandbox-events.ts';
import { sessionId } from '../session-view.ts';
import { tool } from '../tool.ts';

/** The journal of one session, from where the caller stopped reading. */

const lookEveryMs = 500;

export const getEvents = tool({
  name: 'get_events',
  title: 'Read the journal of a session',
  about:
    'What was done and tried in this session: commands, every exchange with the network and the rule that decided, alarms. Signed and chained on the host, ' +
    'out of reach of the sandbox. With `waitMs` it waits for the next.',
  input: z.strictObject({
    sessionId,
    after: z.int().min(0).default(0).describe('`next` of the answer before'),
    limit: z.int().min(1).max(500).default(100).describe('at most so many'),
    waitMs: z.int().min(0).max(300_000).default(0).describe('how long to wait for something new where there is nothing'),
  }),
  output: z.strictObject({
    events: z.array(
      z.strictObject({
        seq: z.int(),
        time: z.string(),
        action: z.string(),
        subject: z.string(),
        decision: z.enum(['allow', 'deny', 'none']),
        outcome: z.string(),
        rule: z.string().optional(),
        actor: z.string(),
        detail: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])).optional(),
      }),
    ),
    next: z.int().describe('for `after`'),
    more: z.boolean().describe('there are more already'),
  }),
  hints: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  async run({ after, limit, waitMs, ...session }, { connect, host, signal }) {
    const { sandbox, companions } = await askOnce(connect, 'inspect', { name: session.sessionId });
    const sandboxes = [sandbox.id, ...companions.map(({ id }) => id)];
    const { folder } = journalPlace(host.paths);
    const endMs = performance.now() + waitMs;
    let from = after;
    for (;;) {
      // oxlint-disable-next-line no-await-in-loop -- looked at again and again, as asked
      const { records, next, looked, more } = await sandboxEvents(folder, { sandboxes, after: from, limit });
      if (records.length > 0 || performance.now() >= endMs || signal.aborted) {
        return { events: records.map(eventOf), next: records.length > 0 ? next : after, more };
      }
      from = looked;
      // oxlint-disable-next-line no-await-in-loop -- as above
      await sleep(lookEveryMs, undefined, { signal }).catch(() => undefined);
    }
  },
});

type Records = Awaited<ReturnType<typeof sandboxEvents>>['records'];

function eventOf({ seq, time, action, subject, decision, outcome, rule, actor, detail }: Records[number]) {
  return {
    seq,
    time,
    action,
    subject,
    decision,
    outcome,
    ...(rule === undefined ? {} : { rule }),
    actor,
    ...(detail === undefined ? {} : { detail: { ...detail } }),
  };
}
