import { z } from 'zod';

import { CasemateError } from '../../base/errors.ts';
import { visible } from '../../base/text.ts';
import type { Client } from '../../daemon/client.ts';
import type { DockerOptions } from '../docker-options.ts';
import { placeMounts, type McpMounts } from '../mcp-mounts.ts';
import { requestOf, sessionInput } from '../session-request.ts';
import { sessionOf, sessionView } from '../session-view.ts';
import { tool } from '../tool.ts';
import type { ToolContext } from '../tool-context.ts';

/** Makes a sandbox for one project, starts it, and reads back what it got. */
export const createSession = tool({
  name: 'create_session',
  title: 'Create a session',
  about:
    'Makes and starts a sandbox for one project folder. It has no route but the gateway, holds stand-ins instead of keys, and is kept until ' +
    'destroy_session or its end. What it may reach says the policy of the host; no argument widens it.',
  input: sessionInput,
  output: sessionView.extend({
    limits: z
      .strictObject({ memoryBytes: z.number(), cpus: z.number(), pids: z.number() })
      .describe('of the plan that runs, dockerOpts applied'),
    readBack: z
      .strictObject({
        checks: z.int().describe('what the host looked at in the running sandbox'),
        held: z.int().describe('of them as planned'),
        rows: z.array(z.strictObject({ what: z.string(), expected: z.string(), seen: z.string(), ok: z.boolean() })),
      })
      .describe('the limits as the kernel has them, and whatever is not as planned'),
  }),
  hints: { readOnlyHint: false, destructiveHint: false, idempotentHint: false, openWorldHint: false },
  async run(asked, context) {
    const client = await context.connect(context.progress);
    // A caller that has gone waits in no line.
    context.signal.addEventListener('abort', client.close, { once: true });
    if (context.signal.aborted) {
      client.close();
    }
    const sinceMs = performance.now();
    try {
      const { id } = await client.call('create', await requestOf(asked, { client, context }));
      try {
        const queueMs = Math.max(0, asked.queueMs - (performance.now() - sinceMs));
        await client.call('start', { name: id, queueMs });
        context.signal.throwIfAborted();
        await placeEverywhere(client, id, { mounts: asked.mcpMounts ?? [], context });
        return await runningView(client, id, asked.dockerOpts);
      } catch (error) {
        await destroyAnyway(context, id);
        throw error;
      }
    } finally {
      context.signal.removeEventListener('abort', client.close);
      client.close();
    }
  },
});

/** Also where a server has a sandbox of its own: what it is may lie there. */
async function placeEverywhere(client: Client, id: string, { mounts, context }: Placing): Promise<void> {
  if (mounts.length > 0) {
    const { companions } = await client.call('inspect', { name: id });
    for (const one of [id, ...companions.map((companion) => companion.id)]) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other, so that a fault is told of the right one
      await placeMounts(one, mounts, context);
    }
  }
}

interface Placing {
  readonly mounts: McpMounts;
  readonly context: ToolContext;
}

/** On a connection of its own: the one it was made on may be closed. */
async function destroyAnyway(context: ToolContext, id: string): Promise<void> {
  try {
    const client = await context.connect();
    await client.call('destroy', { name: id }).finally(client.close);
  } catch {
    // Why it could not be started is what helps; it ends by itself as any session does.
  }
}

async function runningView(client: Client, id: string, asked: DockerOptions | undefined) {
  const { sandbox, plan, seen } = await client.call('inspect', { name: id });
  const { memoryBytes, cpus, pids } = plan.limits;
  const all = seen.flatMap(({ rows }) => rows.map((row) => ({ ...row, ok: row.ok === true })));
  const rows = all
    .filter(({ what, ok }) => !ok || Object.values(groupRows).includes(what))
    .map(({ what, expected, seen: found, ok }) => ({ what: visible(what), expected, seen: visible(found), ok }));
  for (const [option, what] of Object.entries(groupRows)) {
    if (asked !== undefined && option in asked && !rows.some((row) => row.what === what && row.ok)) {
      throw new CasemateError('UNSUPPORTED', `dockerOpts.${option} cannot be honoured: this host does not hold that limit`, {
        hint: 'casemate doctor says on the host which layer is missing.',
      });
    }
  }
  const held = all.filter(({ ok }) => ok).length;
  return { ...sessionOf(sandbox), limits: { memoryBytes, cpus, pids }, readBack: { checks: all.length, held, rows } };
}

/** Options that become a limit, and where that is seen. */
const groupRows: Readonly<Record<string, string>> = {
  Memory: 'memory of the group',
  CpuQuota: 'processors of the group',
};
