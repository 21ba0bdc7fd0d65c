import type { PlannedEngine } from '../../base/engine-names.ts';
import type { Agent, AgentModels } from '../../agents/agent.ts';
import { describedAgent, type AgentDescription, type KnownAgent } from '../../agents/described/read-agents.ts';
import { agents, isAgentName } from '../../agents/agents.ts';
import { relayPort } from '../../agents/mcp-relay.ts';
import { mcpFile, type IsolatedServer, type McpServers } from '../../agents/mcp-servers.ts';
import { CasemateError } from '../../base/errors.ts';
import { parseHost } from '../../base/host.ts';
import type { LayerName } from '../../base/layers.ts';
import type { PhantomVariable } from '../../credentials/providers.ts';
import { regionOfHost } from '../../credentials/aws/sigv4-scope.ts';
import type { Guards } from '../../policy/guards.ts';
import { learnPorts, type Learning } from '../../policy/proposing/learning.ts';
import type { Asks, CredentialRule, DockerOffer, LayoutFolder, Level, Limits, NetworkRule, Policy } from '../../policy/policy.ts';
import { sha256Of } from '../../policy/hash.ts';

/**
 * The policy resolved for one project on one host: complete, hashable, plain data. Nothing starts that is not in it. Pure:
 * whatever must be looked up on the host comes in through `PlanFacts`.
 */
export interface Plan {
  readonly version: 1;
  readonly engine: PlannedEngine;
  /** why this one, where the policy leaves it open */
  readonly engineWhy?: string | undefined;
  /** layers of protection that it does not have, waived or not */
  readonly lacks?: readonly { readonly layer: LayerName; readonly detail: string }[] | undefined;
  readonly runtime: 'runc' | 'crun' | 'runsc';
  readonly level: Level;
  readonly agent: PlannedAgent | undefined;
  readonly image: { readonly recipe: string; readonly digest: string | undefined };
  readonly workspace: {
    readonly path: string;
    readonly mode: 'direct' | 'readonly';
    readonly protect: readonly string[];
    /** folders that are made there if missing; absent: none */
    readonly layout?: readonly LayoutFolder[] | undefined;
  };
  readonly home: PlannedHome;
  readonly network: {
    readonly rules: readonly NetworkRule[];
    readonly tcpPorts: readonly number[];
    readonly udpPorts: readonly number[];
    /** what nobody's approval exceeds; `undefined`: no organisation has written rules */
    readonly bound: readonly NetworkRule[] | undefined;
  };
  readonly asks: Asks;
  /** Docker for programs inside; absent: none */
  readonly docker?: DockerOffer | undefined;
  /** it is run to be learned from; `undefined`: an ordinary run */
  readonly learn?: Learning | undefined;
  readonly credentials: readonly PlannedCredential[];
  /** variables of every command inside, phantoms aside */
  readonly env: Readonly<Record<string, string>>;
  readonly limits: Limits;
  /** servers that the agent starts or reaches inside, beside those of its own configuration; absent: none */
  readonly mcpServers?: McpServers | undefined;
  /** sandboxes of single servers beside this one, in the order of their places; absent: none */
  readonly companions?: readonly PlannedCompanion[] | undefined;
  /** of such a sandbox: the server it is for */
  readonly companion?: Pick<IsolatedServer, 'name' | 'command' | 'env'> | undefined;
  /** absent in plans of earlier versions */
  readonly guards?: Guards | undefined;
  readonly waive: readonly LayerName[];
  readonly policy: { readonly hash: string; readonly files: readonly PolicyFile[] };
}

export interface PlannedAgent {
  readonly name: string;
  readonly permissions: 'ask' | 'skip';
  readonly telemetry: boolean;
  /** where it reaches its model and how it signs in; absent: by key at its maker's */
  readonly provider?: string | undefined;
  /** argument list of a session at a terminal */
  readonly command: readonly string[];
  /** of one that a file describes, whole: what is in the file later is for later sandboxes */
  readonly description?: AgentDescription | undefined;
}

export interface PlannedCompanion {
  /** name of the server */
  readonly server: string;
  readonly plan: Plan;
}

export interface PlannedHome {
  /** files the agent finds, relative to the home; contents may hold a phantom, never a key */
  readonly files: readonly string[];
  /** what of the user's own configuration is copied, and what is left out and why */
  readonly copied: readonly string[];
  readonly leftOut: readonly { readonly path: string; readonly why: string }[];
}

export interface PlannedCredential {
  readonly rule: CredentialRule;
  /** variables inside that hold the phantoms */
  readonly variables: readonly PhantomVariable[];
  readonly hosts: readonly string[];
}

export interface PolicyFile {
  readonly layer: string;
  readonly path: string;
  readonly sha256: string;
}

export interface PlanFacts extends Pick<Plan, 'engine' | 'engineWhy' | 'lacks'> {
  readonly agent: KnownAgent | undefined;
  readonly imageDigest: string | undefined;
  /** absolute and real */
  readonly workspacePath: string;
  readonly protect: readonly string[];
  readonly home: PlannedHome;
  readonly policyFiles: readonly PolicyFile[];
  readonly learn?: Learning | undefined;
  readonly models?: AgentModels | undefined;
  readonly mcpServers?: McpServers | undefined;
  readonly companions?: readonly PlannedCompanion[] | undefined;
  readonly companion?: Plan['companion'];
  /** where the trust bundle lies inside, as variables that tools read */
  readonly trustEnv: Readonly<Record<string, string>>;
  readonly variablesOf: (rule: CredentialRule) => readonly PhantomVariable[];
}

/** Where programs inside find the broker: a name of the reserved domain `internal`, on the port Docker has for it. */
export const brokerPlace = { host: parseHost('docker.casemate.internal'), port: 2375 } as const;

/** Ports whose denials are explained over HTTP even when no rule names them. */
const webPorts = [80, 443] as const;
const dnsPort = 53;

export function makePlan(policy: Policy, facts: PlanFacts): Plan {
  const { agent } = facts;
  return {
    version: 1,
    engine: facts.engine,
    ...(facts.engineWhy === undefined ? {} : { engineWhy: facts.engineWhy }),
    ...(facts.lacks === undefined ? {} : { lacks: facts.lacks }),
    runtime: policy.runtime,
    level: policy.level,
    agent: agent === undefined ? undefined : plannedAgent(agent, policy),
    image: { recipe: policy.image, digest: facts.imageDigest },
    workspace: { ...policy.workspace, path: facts.workspacePath, protect: facts.protect },
    home: withServers(facts),
    ...(facts.mcpServers === undefined ? {} : { mcpServers: facts.mcpServers }),
    ...(facts.companions === undefined ? {} : { companions: facts.companions }),
    ...(facts.companion === undefined ? {} : { companion: facts.companion }),
    network: {
      rules: policy.network,
      tcpPorts: tcpPortsOf(policy, facts),
      udpPorts: [dnsPort],
      bound: policy.bound,
    },
    asks: policy.asks,
    ...(policy.docker === undefined ? {} : { docker: policy.docker }),
    ...(facts.learn === undefined ? {} : { learn: facts.learn }),
    credentials: plannedCredentials(policy, facts),
    env: {
      ...sandboxEnv,
      ...facts.trustEnv,
      ...dockerEnv(policy),
      ...regionEnv(policy),
      ...agentEnv(agent, policy, facts.models),
    },
    limits: policy.limits,
    guards: policy.guards,
    waive: policy.waive,
    policy: { hash: sha256Of(policy), files: facts.policyFiles },
  };
}

function withServers({ agent, home, mcpServers }: PlanFacts): PlannedHome {
  return mcpServers === undefined || agent?.serversInHome === true ? home : { ...home, files: [...home.files, mcpFile] };
}

/** SHA-256 over the canonical form (RFC 8785), hex. */
export function hashPlan(plan: Plan): string {
  return sha256Of(plan);
}

/** A plan from the state file, where `create` wrote it. Throws `STORE_FAILED`. */
export function parsePlan(text: string): Plan {
  try {
    // oxlint-disable-next-line no-unsafe-type-assertion -- the state file is private and this is the form it was written in
    const plan = JSON.parse(text) as Omit<Plan, 'asks'> & Partial<Pick<Plan, 'asks'>>;
    // One of an earlier version asks nobody.
    return { ...plan, asks: plan.asks ?? { waitMs: undefined, when: 'watched' } };
  } catch (cause) {
    throw new CasemateError('STORE_FAILED', 'the state file holds a plan that cannot be read', { cause });
  }
}

/** The agent as it was when the plan was made; `undefined`: none, or one that a later version does not have. */
export function agentOfPlan({ agent }: Plan): Agent | undefined {
  if (agent === undefined) {
    return undefined;
  }
  return agent.description === undefined
    ? isAgentName(agent.name)
      ? agents[agent.name]
      : undefined
    : describedAgent(agent.description);
}

const sandboxEnv = {
  HOME: '/home/agent',
  USER: 'agent',
  LOGNAME: 'agent',
  SHELL: '/bin/bash',
  LANG: 'C.UTF-8',
  PATH: '/home/agent/.local/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  npm_config_cache: '/home/agent/.npm',
  npm_config_update_notifier: 'false',
} as const;

function plannedAgent(agent: KnownAgent, policy: Policy): PlannedAgent {
  const { permissions, telemetry, provider } = policy.agent;
  return {
    name: agent.name,
    permissions,
    telemetry,
    provider,
    command: agent.start({ permissions, prompt: undefined, args: [] }),
    ...(agent.description === undefined ? {} : { description: agent.description }),
  };
}

function agentEnv(
  agent: KnownAgent | undefined,
  policy: Policy,
  models: AgentModels | undefined,
): Readonly<Record<string, string>> {
  return agent === undefined ? {} : agent.env({ ...policy.agent, phantom: undefined, models });
}

/** Tools of AWS ask for a region before they ask for anything else: the first that a credential is bound to. */
function regionEnv({ network, credentials }: Policy): Readonly<Record<string, string>> {
  const signed = new Set(credentials.filter(({ provider }) => provider === 'aws').map(({ name }) => name));
  const bound = network.filter(({ credential }) => credential !== undefined && signed.has(credential));
  const [region] = bound.flatMap(({ host }) => regionOfHost(host.kind === 'exact' ? host.host : `x.${host.host}`) ?? []);
  return region === undefined ? {} : { AWS_REGION: region, AWS_DEFAULT_REGION: region };
}

/** Clients find the broker by these. What runs beside the sandbox ends with it, so nothing has to sweep up. */
function dockerEnv({ docker }: Policy): Readonly<Record<string, string>> {
  return docker === undefined
    ? {}
    : {
        DOCKER_HOST: `tcp://${brokerPlace.host}:${brokerPlace.port}`,
        DOCKER_BUILDKIT: '0',
        COMPOSE_DOCKER_CLI_BUILD: '0',
        TESTCONTAINERS_RYUK_DISABLED: 'true',
        TESTCONTAINERS_HOST_OVERRIDE: 'localhost',
      };
}

function tcpPortsOf(
  { network, docker }: Policy,
  { learn, companions }: Pick<PlanFacts, 'learn' | 'companions'>,
): readonly number[] {
  const offered = [...(docker === undefined ? [] : [brokerPlace.port]), ...(companions === undefined ? [] : [relayPort])];
  const seen = learn === undefined ? [] : [...learnPorts.web, ...learnPorts.others];
  const ports = new Set([dnsPort, ...webPorts, ...seen, ...offered, ...network.flatMap((rule) => rule.ports)]);
  return [...ports].toSorted((a, b) => a - b);
}

function plannedCredentials(policy: Policy, facts: PlanFacts): readonly PlannedCredential[] {
  return policy.credentials.flatMap((credential) => {
    const rules = policy.network.filter((rule) => rule.credential === credential.name);
    if (rules.length === 0) {
      return [];
    }
    const hosts = [...new Set(rules.map(({ host }) => (host.kind === 'exact' ? host.host : `*.${host.host}`)))].toSorted();
    return { rule: credential, variables: facts.variablesOf(credential), hosts };
  });
}
