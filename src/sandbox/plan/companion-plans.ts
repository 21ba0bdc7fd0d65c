import { isolatedHosts, isolatedServers, openServers, type IsolatedServer, type McpServers } from '../../agents/mcp-servers.ts';
import { CasemateError } from '../../base/errors.ts';
import { parseHost } from '../../base/host.ts';
import { decisiveRules } from '../../policy/judging/decide.ts';
import { rulesWithin } from '../../policy/layers/rules-within.ts';
import { formatHostPattern } from '../../policy/matching/host-pattern.ts';
import type { Limits, NetworkRule, Policy } from '../../policy/policy.ts';

/**
 * Plans for servers of an agent that run in their own sandbox, as companions of the session. Each has the session's policy
 * without what its own list of hosts leaves out. Pure, and always narrower.
 */
export interface CompanionPolicy {
  readonly server: IsolatedServer;
  readonly policy: Policy;
}

const most = 8;

/** Throws `UNSUPPORTED` and `POLICY_WIDENS` for a list that cannot be held, or that names more than the policy allows. */
export function companionPolicies(policy: Policy, servers: McpServers): readonly CompanionPolicy[] {
  requireLists(policy, servers);
  requireReached(policy, servers);
  const isolated = isolatedServers(servers);
  if (isolated.length > most) {
    throw new CasemateError('UNSUPPORTED', `${isolated.length} servers with a sandbox of their own are more than ${most}`, {
      hint: 'Leave network_isolation out where a server may reach what the session may.',
    });
  }
  const limits = companionLimits(policy.limits, isolated.length);
  return isolated.map((server) => ({ server, policy: { ...policyOf(server, policy), limits } }));
}

/** `false` says that a server may reach all that the session may: where nobody looks on, that is not for a caller to say. */
function requireLists({ level }: Policy, servers: McpServers): void {
  const [open] = openServers(servers);
  if (open !== undefined && (level === 'service' || level === 'maximum')) {
    throw new CasemateError(
      'POLICY_WIDENS',
      `mcpConfig: network_isolation: false of "${open}" is refused at the level ${level}`,
      {
        hint: 'Name the hosts that this server needs.',
      },
    );
  }
}

/** The agent reaches such a server itself; what the list promises is that it can. */
function requireReached({ network }: Policy, servers: McpServers): void {
  const closed = isolatedHosts(servers).find(({ host, port }) => decisiveRules(network, parseHost(host), port).length === 0);
  if (closed !== undefined) {
    throw notAllowed(closed.name, `${closed.host}:${closed.port}`);
  }
}

function notAllowed(name: string, host: string): CasemateError {
  return new CasemateError('POLICY_WIDENS', `mcpConfig: the server "${name}" lists ${host}, which the policy does not allow`, {
    hint: 'A list of hosts only narrows. The person at the host can allow more in the policy.',
  });
}

function policyOf(server: IsolatedServer, policy: Policy): Policy {
  const { rules, unmet } = rulesWithin(policy.network, server.hosts);
  const [missing] = unmet;
  if (missing !== undefined) {
    throw notAllowed(server.name, formatHostPattern(missing));
  }
  const named = credentialsIn(server);
  requireNamed(server, rules, named);
  return {
    ...policy,
    agent: { ...policy.agent, name: undefined, provider: undefined },
    network: rules,
    // Nobody is asked for more, so an answer given to the session opens nothing here.
    bound: rules,
    asks: { waitMs: undefined, when: 'watched' },
    credentials: policy.credentials.filter(({ name }) => named.has(name)),
    docker: undefined,
    image: server.image ?? policy.image,
  };
}

function credentialsIn({ env }: IsolatedServer): ReadonlySet<string> {
  return new Set(Object.values(env).flatMap((value) => (typeof value === 'string' ? [] : [value.credential])));
}

/** The gateway would put a key on its requests that nobody has given it. */
function requireNamed({ name }: IsolatedServer, rules: readonly NetworkRule[], named: ReadonlySet<string>): void {
  const stray = rules.find(({ credential }) => credential !== undefined && !named.has(credential));
  if (stray !== undefined) {
    const host = formatHostPattern(stray.host);
    const { credential = '' } = stray;
    throw new CasemateError(
      'UNSUPPORTED',
      `mcpConfig: the server "${name}" lists ${host}, where the policy puts the credential "${credential}" on the wire`,
      { hint: `Give it to the server, as { "credential": "${credential}" } in its env, or leave the host out.` },
    );
  }
}

/** All of them together have one half of what the session may use, and its own programs the other; it alone has time limits. */
function companionLimits(limits: Limits, count: number): Limits {
  const { memoryBytes, cpus, pids, diskBytes } = halfOf(limits);
  const part = (value: number): number => Math.floor(value / Math.max(1, count));
  return {
    ...limits,
    memoryBytes: part(memoryBytes),
    cpus: cpus / Math.max(1, count),
    pids: part(pids),
    diskBytes: part(diskBytes),
    timeMs: undefined,
    idleMs: undefined,
  };
}

export function halfOf<T extends Pick<Limits, 'memoryBytes' | 'cpus' | 'pids' | 'diskBytes'>>(limits: T): T {
  const { memoryBytes, cpus, pids, diskBytes } = limits;
  return {
    ...limits,
    memoryBytes: Math.floor(memoryBytes / 2),
    cpus: cpus / 2,
    pids: Math.floor(pids / 2),
    diskBytes: Math.floor(diskBytes / 2),
  };
}
