import { z } from 'zod';

import { formatFunctions } from '../../policy/judging/format-functions.ts';
import { formatHostPattern } from '../../policy/matching/host-pattern.ts';
import { requestOf, sessionInput } from '../session-request.ts';
import { tool } from '../tool.ts';

/** What create_session would make of the same arguments. Nothing is made. */

export const planSession = tool({
  name: 'plan_session',
  title: 'Plan a session',
  about:
    'Says what create_session would make of these arguments: limits, what may be reached, which credentials the gateway would use. Nothing is made.',
  input: sessionInput.omit({
    apiKey: true,
    awsAccessKeyId: true,
    awsSecretAccessKey: true,
    awsSessionToken: true,
    sessionName: true,
  }),
  output: z.strictObject({
    planHash: z.string(),
    agent: z.string().optional(),
    permissions: z.string().optional(),
    image: z.string(),
    runtime: z.string(),
    level: z.string(),
    projectPath: z.string(),
    readonly: z.boolean(),
    limits: z.strictObject({
      memoryBytes: z.number(),
      cpus: z.number(),
      pids: z.number(),
      timeMs: z.number().optional(),
      idleMs: z.number().optional(),
    }),
    network: z.array(
      z.strictObject({
        host: z.string(),
        ports: z.array(z.int()),
        functions: z.array(z.string()).optional().describe('without it everything'),
        credential: z.string().optional(),
      }),
    ),
    layout: z
      .array(z.string())
      .optional()
      .describe('folders of the project that are made if missing; `imports` cannot be written'),
    protectedNames: z.array(z.string()).describe('in the project, which the sandbox cannot write'),
    waived: z.array(z.string()).describe('protection layers that the person at the host does without'),
  }),
  hints: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  async run(asked, context) {
    const client = await context.connect();
    try {
      const { name: _, keys: __, queueMs: ___, ...request } = await requestOf(asked, { client, context });
      const { hash, plan } = await client.call('plan', request);
      const { memoryBytes, cpus, pids, timeMs, idleMs } = plan.limits;
      return {
        planHash: hash,
        ...(plan.agent === undefined ? {} : { agent: plan.agent.name, permissions: plan.agent.permissions }),
        image: plan.image.recipe,
        runtime: plan.runtime,
        level: plan.level,
        projectPath: plan.workspace.path,
        readonly: plan.workspace.mode === 'readonly',
        limits: {
          memoryBytes,
          cpus,
          pids,
          ...(timeMs === undefined ? {} : { timeMs }),
          ...(idleMs === undefined ? {} : { idleMs }),
        },
        network: plan.network.rules.map((rule) => {
          const functions = formatFunctions(rule);
          return {
            host: formatHostPattern(rule.host),
            ports: [...rule.ports],
            ...(functions === undefined ? {} : { functions: [...functions] }),
            ...(rule.credential === undefined ? {} : { credential: rule.credential }),
          };
        }),
        ...(plan.workspace.layout === undefined ? {} : { layout: [...plan.workspace.layout] }),
        protectedNames: [...plan.workspace.protect],
        waived: [...plan.waive],
      };
    } finally {
      client.close();
    }
  },
});
