import { dirname, isAbsolute, relative } from 'node:path';

import type { Agent, AgentLogin, AgentModels } from '../../agents/agent.ts';
import { credentialsOf, type McpServers } from '../../agents/mcp-servers.ts';
import { planHome } from '../../agents/home.ts';
import type { KnownAgent, KnownAgents } from '../../agents/described/read-agents.ts';
import { trustEnvironment } from '../../agents/trust.ts';
import { phantomVariables } from '../../credentials/providers.ts';
import { sealedNames } from '../../credentials/sealed/sealed-store.ts';
import { CasemateError } from '../../base/errors.ts';
import { visible } from '../../base/text.ts';
import type { CommandLinePolicy } from '../../policy/written/command-line-layer.ts';
import { learningPolicy, type Learning } from '../../policy/proposing/learning.ts';
import { formatOrigin } from '../../policy/written/policy-layer.ts';
import type { Policy } from '../../policy/policy.ts';
import { narrowPolicy, type Narrowing } from '../../policy/layers/narrow-policy.ts';
import { projectGrants } from '../../policy/layers/project-grants.ts';
import { byDefault, isWithin } from '../../policy/layers/resolve-scalars.ts';
import { sha256Of } from '../../policy/hash.ts';
import { placesNamedByUser } from '../../engines/workspace/git-places.ts';
import { companionPolicies } from '../plan/companion-plans.ts';
import type { SandboxContext } from '../context.ts';
import { readFacts } from '../host/facts.ts';
import { chooseEngine, type CallersChoice } from './choose-engine.ts';
import { homeSource } from '../host-files/folder.ts';
import { limitsWithin } from '../host/host-share.ts';
import { loadPolicy, type LoadedPolicy } from '../policy-files/load-policy.ts';
import { placedFiles } from '../host-files/placed-files.ts';
import {
  hashPlan,
  makePlan,
  type Plan,
  type PlanFacts,
  type PlannedCompanion,
  type PlannedHome,
  type PolicyFile,
} from '../plan/plan.ts';
import { protectedPaths } from '../project/protected-paths.ts';
import { trustBundlePath } from '../plan/spec.ts';
import type { HostShare } from '../host/share-limits.ts';
import { resolveWorkspace } from '../project/workspace-path.ts';
import { programFolders } from '../../system/environment.ts';

/** Turns what a person asks for into a plan, by policy and host facts. It reads and changes nothing. */

export interface MakeRequest {
  /** absolute; the project policy is looked for from here upwards */
  readonly cwd: string;
  readonly policyFile?: string | undefined;
  /** folder with the user's `policy.yaml`, where it is not the usual one */
  readonly userPolicyFolder?: string | undefined;
  /** absolute; a file that is the user's policy for this, and must be there */
  readonly userPolicyFile?: string | undefined;
  readonly engine?: string | undefined;
  readonly runtime?: string | undefined;
  readonly agent?: string | undefined;
  readonly image?: string | undefined;
  readonly workspace?: string | undefined;
  readonly readonly?: boolean | undefined;
  readonly skipPermissions?: boolean | undefined;
  readonly waive?: readonly string[] | undefined;
  /** approve what the project's policy asks for, as it reads now */
  readonly trust?: boolean | undefined;
  readonly timeoutMs?: number | undefined;
  /** run to be learned from: without credentials, and nothing but reads leaves the host */
  readonly learn?: Learning | undefined;
  /** what a caller asks for beyond the policy: less */
  readonly narrowing?: Narrowing | undefined;
  /** another way of the agent to its model, such as `bedrock`; `key`: by key although there is a login */
  readonly provider?: string | undefined;
  readonly region?: string | undefined;
  readonly models?: AgentModels | undefined;
  /** that the agent starts or reaches inside */
  readonly mcpServers?: McpServers | undefined;
  /** absolute real folders: a workspace that lies in none of them by the time it is resolved is refused */
  readonly mustLieIn?: readonly string[] | undefined;
  /** names of credentials whose values come with the call */
  readonly given?: readonly string[] | undefined;
}

export interface Prepared {
  readonly plan: Plan;
  readonly planHash: string;
  readonly agent: Agent | undefined;
  /** what the project's policy grants beyond the defaults; `undefined` without a project policy */
  readonly trust: Trust | undefined;
  /** what all sandboxes together may take, as it was read with the policy; absent: to be read */
  readonly share?: HostShare | undefined;
}

export interface Trust {
  readonly path: string;
  /** names the content that was read and what it grants: the very thing a person approves */
  readonly hash: string;
  readonly grants: readonly string[];
  readonly approved: boolean;
}

export async function prepare(context: SandboxContext, request: MakeRequest, callers?: CallersChoice): Promise<Prepared> {
  const agents = await context.agents();
  const { policy: written, files, share: own } = await readPolicy(context, request, agents);
  const { learn } = request;
  // One reading for both, unless another than the user's own policy was read.
  const share = await context.share(isOwnPolicy(request) ? own() : undefined);
  const bounded = { ...written, limits: limitsWithin(written.limits, share) };
  const narrowed = request.narrowing === undefined ? bounded : narrowPolicy(bounded, request.narrowing);
  const policy = withGiven(learn === undefined ? narrowed : learnable(narrowed, learn), request.given ?? []);
  const agent = policy.agent.name === undefined ? undefined : agents[policy.agent.name];
  const workspacePath = await resolveWorkspace(policy.workspace.path, {
    paths: context.paths,
    userHome: context.userHome,
    programFolders: programFolders(context.env),
  });
  requireWithin(workspacePath, request.mustLieIn);
  const image = await context.images.find(policy.image);
  const servers = mcpServersFor(agent, policy, request);
  const facts = {
    agent,
    ...(await chooseEngine(context.engine, policy, callers)),
    imageDigest: image?.digest,
    workspacePath,
    protect: [...protectedPaths, ...policyInside(files, workspacePath), ...placesOfUser(context, workspacePath)],
    home: agent === undefined ? emptyHome : await plannedHome(context, agent, policy),
    policyFiles: [...files, ...descriptionFiles(agent)],
    learn,
    models: request.models,
    trustEnv: trustEnvironment(trustBundlePath),
    variablesOf: phantomVariables,
  };
  const companions = servers === undefined ? undefined : await plannedCompanions(context, policy, { servers, facts });
  const plan = withPlacedFiles(makePlan(policy, { ...facts, mcpServers: servers, companions }));
  return { plan, planHash: hashPlan(plan), agent, trust: trustOf(context, policy, files), share };
}

/** What git runs in any repository of this user, where it lies in the workspace: some have `hooksPath = .githooks` for all. */
function placesOfUser({ env, userHome: home }: SandboxContext, workspace: string): readonly string[] {
  const places = placesNamedByUser(workspace, { home, xdg: env.get('XDG_CONFIG_HOME') });
  return places.filter((path) => !protectedPaths.some((row) => path === row || path.startsWith(`${row}/`)));
}

function descriptionFiles(agent: KnownAgent | undefined): readonly PolicyFile[] {
  const description = agent?.description;
  return description === undefined ? [] : [{ layer: 'agent', path: description.path, sha256: description.sha256 }];
}

/** Of the same image as the session's, or of the server's own, and with the same workspace; `undefined`: no server has one. */
async function plannedCompanions(
  { images }: SandboxContext,
  policy: Policy,
  { servers, facts }: { readonly servers: McpServers; readonly facts: Omit<PlanFacts, 'agent' | 'home'> },
): Promise<readonly PlannedCompanion[] | undefined> {
  const planned = companionPolicies(policy, servers).map(async ({ server, policy: own }) => {
    const { name, command, env, image } = server;
    const imageDigest = image === undefined ? facts.imageDigest : (await images.find(image))?.digest;
    const bare = { ...facts, imageDigest, agent: undefined, home: emptyHome, learn: undefined, models: undefined };
    return { server: name, plan: withPlacedFiles(makePlan(own, { ...bare, companion: { name, command, env } })) };
  });
  return planned.length === 0 ? undefined : await Promise.all(planned);
}

/** Their paths alone: contents hold phantoms, which are made with the sandbox. */
function withPlacedFiles(plan: Plan): Plan {
  const paths = placedFiles(plan, () => '').map(({ path }) => path);
  return paths.length === 0 ? plan : { ...plan, home: { ...plan.home, files: [...plan.home.files, ...paths] } };
}

/** Judged once more on what will be mounted: a link may have been put in its place since the caller's path was judged. */
function requireWithin(path: string, folders: readonly string[] | undefined): void {
  if (folders?.some((folder) => isWithin(path, folder)) === false) {
    throw new CasemateError('NOT_ALLOWED', `the workspace ${visible(path)} lies in none of the roots of this caller`, {
      hint: 'The person at the host declares them.',
    });
  }
}

/** Never ignored in silence: an agent that has no way to take them gets no sandbox for them. */
function mcpServersFor(
  agent: Agent | undefined,
  { credentials }: Policy,
  { mcpServers = {} }: MakeRequest,
): McpServers | undefined {
  if (Object.keys(mcpServers).length === 0) {
    return undefined;
  }
  if (agent?.print.takesMcpFile !== true && agent?.serversInHome !== true) {
    throw new CasemateError(
      'UNSUPPORTED',
      `mcpConfig cannot be honoured: ${agent === undefined ? 'a session without an agent' : agent.title} takes no such servers`,
      {
        hint: 'Leave it out, or make the session for Claude Code or Codex.',
      },
    );
  }
  const stream = Object.entries(mcpServers).find(([, server]) => 'url' in server && server.type === 'sse');
  if (agent.name === 'codex' && stream !== undefined) {
    throw new CasemateError('UNSUPPORTED', `mcpConfig: Codex does not reach "${stream[0]}": it speaks "http" alone, not "sse"`);
  }
  const known = credentials.map(({ name }) => name);
  const unknown = credentialsOf(mcpServers).find((name) => !known.includes(name));
  if (unknown !== undefined) {
    throw new CasemateError(
      'UNSUPPORTED',
      `mcpConfig names the credential "${unknown}", and no rule of this policy uses such a one`,
      {
        hint: 'The person at the host says in the policy which credentials there are, and for which hosts.',
      },
    );
  }
  return mcpServers;
}

/** A key of the caller's own in the place of the one that the policy's source would give. */
function withGiven(policy: Policy, names: readonly string[]): Policy {
  for (const name of names) {
    const rule = policy.credentials.find((credential) => credential.name === name);
    if (rule === undefined) {
      throw new CasemateError('UNSUPPORTED', `a key for "${visible(name)}" is given, but no rule here uses such a credential`, {
        hint: 'Leave it out, or choose the agent and the way to its model that use it.',
      });
    }
    if (rule.origin.layer === 'organisation') {
      throw new CasemateError(
        'POLICY_WIDENS',
        `the credential "${name}" is defined by ${formatOrigin(rule.origin)}: no other key takes its place`,
        { hint: 'Leave the key out.' },
      );
    }
  }
  const given = { kind: 'given' } as const;
  return names.length === 0
    ? policy
    : {
        ...policy,
        credentials: policy.credentials.map((rule) => (names.includes(rule.name) ? { ...rule, source: given } : rule)),
      };
}

/** Learning gives a program more than the policy does: where nobody may be asked for more, nobody may do that either. */
function learnable(policy: Policy, learn: Learning): Policy {
  if (policy.asks.waitMs === undefined) {
    throw new CasemateError(
      'POLICY_WIDENS',
      'the policy lets nobody be asked for more than it allows, so nothing can be learned under it',
      {
        hint: `The value of asks.wait comes from ${formatOrigin(policy.origins['asks.wait'] ?? policy.origins['level'] ?? byDefault)}.`,
      },
    );
  }
  return learningPolicy(policy, learn);
}

function isOwnPolicy({ userPolicyFolder, userPolicyFile }: MakeRequest): boolean {
  return userPolicyFolder === undefined && userPolicyFile === undefined;
}

async function readPolicy(context: SandboxContext, request: MakeRequest, agents: KnownAgents): Promise<LoadedPolicy> {
  const { cwd, policyFile, userPolicyFolder, userPolicyFile } = request;
  const { env, userHome } = context;
  const paths = userPolicyFolder === undefined ? context.paths : { ...context.paths, config: userPolicyFolder };
  return await loadPolicy({
    paths,
    cwd,
    explicitFile: policyFile,
    userFile: userPolicyFile,
    commandLine: commandLineOf(request),
    isLab: context.isLab,
    facts: async (registries) =>
      readFacts({
        agents,
        env,
        home: userHome,
        registries,
        stored: await sealedNames(paths.state, 'credential'),
        logins: await sealedNames(paths.state, 'login'),
      }),
  });
}

/**
 * A project policy that lies in the workspace is protected like what tools of the host load: taking a line out of it
 * could widen the next start. Where there is none, one that appears grants nothing before a person approved it.
 */
function policyInside(files: readonly PolicyFile[], workspacePath: string): readonly string[] {
  return files.flatMap(({ layer, path }) => {
    const inside = relative(workspacePath, path);
    return layer === 'project' && inside !== '' && !inside.startsWith('..') && !isAbsolute(inside) ? [inside] : [];
  });
}

function commandLineOf(request: MakeRequest): CommandLinePolicy {
  const { agent, provider, region, image, engine, runtime, workspace, waive, timeoutMs } = request;
  return {
    agent,
    provider,
    region,
    image,
    engine,
    runtime,
    workspace,
    waive,
    permissions: request.skipPermissions === true ? 'skip' : undefined,
    mode: request.readonly === true ? 'readonly' : undefined,
    limits: timeoutMs === undefined ? undefined : { time: `${timeoutMs}ms` },
  };
}

const emptyHome: PlannedHome = { files: [], copied: [], leftOut: [] };

async function plannedHome(context: SandboxContext, agent: Agent, policy: Policy): Promise<PlannedHome> {
  const { copied, leftOut } = await planHome(agent, policy.level, homeSource(context));
  const files = agent
    .homeFiles({ ...policy.agent, phantom: undefined, login: policy.agent.provider === 'login' ? noLogin : undefined })
    .map((file) => file.path);
  return { files, copied, leftOut };
}

/** Only which files there will be is asked. */
const noLogin: AgentLogin = {
  accessToken: '',
  refreshToken: '',
  idToken: '',
  expiresMs: 0,
  nowMs: 0,
  scopes: [],
  plan: undefined,
  accountId: undefined,
};

/** Approval is of a project file's content and of what it grants: if either changes, a person is asked again. */
function trustOf({ store }: SandboxContext, policy: Policy, files: readonly PolicyFile[]): Trust | undefined {
  const project = files.find((file) => file.layer === 'project');
  if (project === undefined) {
    return undefined;
  }
  const grants = projectGrants(policy);
  const hash = sha256Of({ folder: dirname(project.path), sha256: project.sha256, grants });
  return { path: project.path, hash, grants, approved: grants.length === 0 || store.isTrusted(hash) };
}

/** A person approves what was read, not what the file may say by now. */
export async function approveTrust(
  { store, journal, clock }: SandboxContext,
  { path, hash }: Trust,
  actor: string,
): Promise<void> {
  await journal.append({
    actor,
    action: 'policy.trust',
    subject: path,
    decision: 'none',
    outcome: 'ok',
    detail: { content: hash },
  });
  store.trust(hash, clock.nowMs());
}
