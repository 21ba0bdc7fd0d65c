import { z } from 'zod';

import { agents, isAgentName } from '../agents/agents.ts';
import { mcpServers } from '../agents/mcp-servers.ts';
import { CasemateError } from '../base/errors.ts';
import { noAgent } from '../policy/policy.ts';
import { layout } from '../policy/written/schema.ts';
import type { Client } from '../daemon/client.ts';
import type { MakeCall } from '../daemon/protocol.ts';
import { dockerOptions, narrowingOf } from './docker-options.ts';
import { checkMounts, mcpMounts } from './mcp-mounts.ts';
import { sessionKeys } from './session-keys.ts';
import type { SessionDefaults, ToolContext } from './tool-context.ts';

/** Turns what a caller says of a session it wants into a request to the daemon. */

const key = z.string().min(1).max(8192);
const model = z.string().regex(/^[\w.:/@-]{1,200}$/, 'is not the name of a model');

export const sessionInput = z.strictObject({
  projectPath: z
    .string()
    .min(1)
    .max(4096)
    .startsWith('/', 'is not an absolute path')
    .describe('folder on the host to work in; it becomes /workspace. It must lie in a root that the person at the host declared'),
  sessionName: z.string().min(1).max(100).optional().describe('a name for it; default: made from the folder'),
  agent: z
    .string()
    .regex(/^[a-z][a-z0-9-]{0,30}$/, 'is not the name of an agent')
    .optional()
    .describe(
      "the agent it is for: claude, codex or one that a file of the host describes; default: the policy's, else claude. `none`: commands only, no key is needed",
    ),
  readonly: z.boolean().default(false).describe('the project folder cannot be written'),
  layout: layout
    .optional()
    .describe(
      'folders that are made in the project if missing: `all`, or some of imports (read-only inside), exports (what transfer_files takes out by default), shared, Projects, Documentation, Research',
    ),
  timeoutMs: z
    .int()
    .min(1000)
    .optional()
    .describe('the session ends after this long; default one hour, never more than the policy says'),
  idleMs: z.int().min(1000).optional().describe('it is stopped after this long without a command; default 15 minutes'),
  queueMs: z
    .int()
    .min(0)
    .max(600_000)
    .default(0)
    .describe(
      'where there are as many sessions as may be, wait in the line for so long, told of the place by progress; default: no wait',
    ),
  apiKey: key
    .optional()
    .describe('key of the API of the agent, for this session alone: it is sealed on the host, the sandbox holds a stand-in'),
  useBedrock: z.boolean().optional().describe('Claude Code at Amazon Bedrock'),
  awsRegion: z
    .string()
    .regex(/^[a-z]{2}(?:-[a-z]+)+-\d{1,2}$/, 'is not the name of a region')
    .optional()
    .describe('region of Bedrock, such as `eu-west-1`'),
  awsAccessKeyId: key.optional().describe('for Bedrock, with awsSecretAccessKey; sealed on the host as `apiKey` is'),
  awsSecretAccessKey: key.optional().describe('goes with awsAccessKeyId'),
  awsSessionToken: key.optional().describe('of temporary keys'),
  bedrockModel: model.optional().describe('model that Claude Code uses at Bedrock'),
  bedrockSmallModel: model.optional().describe('model for its small and fast work there'),
  mcpMounts: mcpMounts
    .optional()
    .describe('folders for servers, copied into the home of the session as they are now, links left out'),
  mcpConfig: z
    .strictObject({ mcpServers })
    .optional()
    .describe(
      'servers that Claude Code or Codex starts or reaches inside, for Claude Code in a file of mode 0400; what they reach says the policy. `network_isolation` of one, a list of hosts, puts it into a sandbox of its own that reaches these alone. ' +
        'Keys in it are refused: write `{ "credential": NAME }` for a credential of the policy',
    ),
  dockerOpts: dockerOptions.optional(),
});

type SessionInput = z.output<typeof sessionInput>;

/** Throws before anything is made: for what cannot be honoured, and for arguments that do not go together. */
export async function requestOf(
  asked: SessionInput,
  { client, context }: { readonly client: Client; readonly context: ToolContext },
): Promise<MakeCall> {
  checkMounts(asked.mcpMounts ?? [], context.host);
  const { projectPath, sessionName, readonly, timeoutMs, idleMs, dockerOpts } = asked;
  const { defaults } = context;
  const place = { cwd: projectPath, workspace: projectPath };
  const { agent, credential: agentCredential } = await agentOf(asked, { client, place });
  const useBedrock = asked.useBedrock ?? (defaults.useBedrock && asked.apiKey === undefined && agent === 'claude');
  const awsRegion = asked.awsRegion ?? (useBedrock ? defaults.awsRegion : undefined);
  const { provider, region, keys } = sessionKeys({ ...asked, agent, agentCredential, useBedrock, awsRegion });
  const models = modelsOf(asked, useBedrock, defaults);
  return {
    ...place,
    name: sessionName === undefined ? undefined : nameFrom(sessionName),
    agent: asked.agent === noAgent ? noAgent : agent,
    provider,
    region,
    models,
    mcpServers: asked.mcpConfig?.mcpServers,
    readonly,
    queueMs: asked.queueMs,
    given: Object.keys(keys),
    keys,
    narrowing: { ...narrowingOf(dockerOpts), timeMs: timeoutMs, idleMs, layout: asked.layout },
  };
}

interface AskedAgent {
  /** `undefined`: none */
  readonly agent: string | undefined;
  /** that it uses at its maker's */
  readonly credential: string | undefined;
}

/** Where nobody says otherwise it is for Claude Code, as callers of other servers of this kind are used to. */
async function agentOf(
  { agent: asked }: SessionInput,
  { client, place }: { readonly client: Client; readonly place: Pick<MakeCall, 'cwd' | 'workspace'> },
): Promise<AskedAgent> {
  if (asked === noAgent) {
    return { agent: undefined, credential: undefined };
  }
  if (asked !== undefined && isAgentName(asked)) {
    return { agent: asked, credential: agents[asked].provider };
  }
  // One that a file describes, or the policy's: the host says what it is.
  const { plan } = await client.call('plan', { cwd: place.cwd, workspace: place.workspace, agent: asked });
  const agent = plan.agent?.name ?? 'claude';
  const credential = isAgentName(agent) ? agents[agent].provider : plan.agent?.description?.written.credential;
  return { agent, credential };
}

/** What people write as a name, as the name of a sandbox. */
function nameFrom(text: string): string {
  return (
    text
      .toLowerCase()
      .replaceAll(/[^a-z0-9-]+/g, '-')
      .slice(0, 40)
      .replaceAll(/^-+|-+$/g, '') || 'session'
  );
}

function modelsOf(
  { bedrockModel, bedrockSmallModel }: SessionInput,
  useBedrock: boolean,
  defaults: SessionDefaults,
): MakeCall['models'] {
  if (!useBedrock && (bedrockModel !== undefined || bedrockSmallModel !== undefined)) {
    throw new CasemateError('USAGE', 'bedrockModel and bedrockSmallModel are given without useBedrock', {
      hint: 'Say useBedrock: true, or leave them out.',
    });
  }
  return useBedrock
    ? { main: bedrockModel ?? defaults.bedrockModel, small: bedrockSmallModel ?? defaults.bedrockSmallModel }
    : undefined;
}
