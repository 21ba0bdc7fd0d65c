import { z } from 'zod';

import { CasemateError } from '../../base/errors.ts';
import { visible } from '../../base/text.ts';
import { askOnce } from '../../daemon/ask-once.ts';
import type { RequestView } from '../../sandbox/requests/approvals.ts';
import { missingRule } from '../../policy/proposing/missing-rule.ts';
import { sessionId } from '../session-view.ts';
import { tool } from '../tool.ts';

/** What a session may reach, what it was denied, and how to ask a person. None of these tools grants anything. */

const reads = { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false };

export const explainAccess = tool({
  name: 'explain_access',
  title: 'Explain what may be reached',
  about:
    'Says which rule decides whether a session may reach a host, or send a request there, and what a person would have to add.',
  input: z.strictObject({
    sessionId,
    host: z.string().min(1).max(253).describe('a name such as `api.example.com`'),
    port: z.int().min(1).max(65_535).default(443).describe('of TCP'),
    method: z
      .string()
      .regex(/^[A-Z]{1,32}$/, 'is not the name of a method in capitals, such as GET')
      .optional()
      .describe('with `path`: about one request'),
    path: z.string().startsWith('/', 'does not start with /').max(8192).optional().describe('with `method`'),
  }),
  output: z.strictObject({
    verdict: z
      .enum(['allow', 'deny', 'inspect'])
      .describe('`inspect`: some contents of such a request are allowed and others not'),
    reason: z.string().optional(),
    rule: z
      .strictObject({ id: z.string(), host: z.string(), ports: z.array(z.int()), functions: z.array(z.string()).optional() })
      .optional()
      .describe('the one that decided, or that came nearest; without `functions` it allows everything there'),
    missing: z.string().optional().describe('the smallest rule that would allow it, for the person who writes the policy'),
  }),
  hints: reads,
  async run({ host, port, method, path, ...session }, { connect }) {
    if ((method === undefined) !== (path === undefined)) {
      throw new CasemateError('USAGE', 'method and path go together', { hint: 'Give both, or none.' });
    }
    const request = method === undefined || path === undefined ? undefined : { method, path };
    const found = await askOnce(connect, 'session-explain', { name: session.sessionId, host, port, request });
    const missing =
      found.verdict === 'deny'
        ? missingRule({ host: found.host, port, request: found.reason === 'function-not-allowed' ? request : undefined })
        : undefined;
    return {
      verdict: found.verdict,
      ...(found.reason === undefined ? {} : { reason: found.reason }),
      ...(found.rule === undefined ? {} : { rule: ruleOf(found.rule) }),
      ...(missing === undefined ? {} : { missing }),
    };
  },
});

function ruleOf({
  id,
  host,
  ports,
  functions,
}: {
  id: string;
  host: string;
  ports: readonly number[];
  functions: readonly string[] | undefined;
}) {
  return { id, host, ports: [...ports], ...(functions === undefined ? {} : { functions: [...functions] }) };
}

const denied = z.strictObject({
  requestId: z.string().describe('for request_approval'),
  state: z.enum(['waiting', 'denied']).describe('`waiting`: it is held for a person right now'),
  asked: z.string(),
  reason: z.string(),
  count: z.int(),
  since: z.string(),
  pleaded: z.boolean().describe('a person was asked to look at it'),
});

function deniedOf(view: RequestView): z.output<typeof denied> {
  const { id, state, scheme, host, port, method, target, reason, count, sinceMs, plea } = view;
  const place = `${scheme}://${host}:${port}`;
  return {
    requestId: id,
    state,
    asked: visible(method === undefined ? place : `${method} ${place}${target ?? ''}`),
    reason,
    count,
    since: new Date(sinceMs).toISOString(),
    pleaded: plea !== undefined,
  };
}

export const listDeniedRequests = tool({
  name: 'list_denied_requests',
  title: 'List denied requests',
  about: 'What this session asked for and was denied, and a person at the host may still allow.',
  input: z.strictObject({ sessionId }),
  output: z.strictObject({ requests: z.array(denied) }),
  hints: reads,
  async run(input, { connect }) {
    return { requests: (await askOnce(connect, 'session-requests', { name: input.sessionId })).map(deniedOf) };
  },
});

export const requestApproval = tool({
  name: 'request_approval',
  title: 'Ask a person to allow a request',
  about:
    'Puts your reason beside a denied request where the person at the host sees it (casemate requests). It grants nothing, and no answer of yours does: ' +
    'only that person can, on the host. Then try the request again, or wait and look with list_denied_requests.',
  input: z.strictObject({
    sessionId,
    requestId: z
      .string()
      .regex(/^ask-[a-z0-9]{12}$/, 'is not the id of a request')
      .describe('of list_denied_requests'),
    reason: z.string().min(1).max(1000).describe('why it is needed, for a person to judge'),
  }),
  output: z.strictObject({
    asked: z.literal(true),
    granted: z.literal(false).describe('always: this call cannot grant'),
    personRuns: z.array(z.string()).describe('what the person at the host would run to answer'),
  }),
  hints: { readOnlyHint: false, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  async run({ requestId, reason, ...session }, { connect }) {
    await askOnce(connect, 'session-plead', { name: session.sessionId, id: requestId, reason });
    return {
      asked: true as const,
      granted: false as const,
      personRuns: [`casemate approve ${requestId}`, `casemate deny ${requestId}`],
    };
  },
});
