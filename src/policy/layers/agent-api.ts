import type { CasemateError } from '../../base/errors.ts';
import { parseHost } from '../../base/host.ts';
import { nearest, visible } from '../../base/text.ts';
import type { AgentApiFacts, AgentFacts, AgentHostFacts, Facts } from '../facts.ts';
import { formatHostPattern, matchesHost } from '../matching/host-pattern.ts';
import { faultAt } from '../written/policy-layer.ts';
import type { Level, NetworkRule, Policy } from '../policy.ts';
import type { Origin } from '../origin.ts';

/** For an agent that uses its model through a provider other than its maker: which hosts it needs, in which region. */

type AgentSettings = Policy['agent'];

/** The provider of the credential and the hosts of an agent as it is set up. */
export function agentAccess(
  agent: AgentFacts,
  settings: Pick<AgentSettings, 'provider' | 'region' | 'project'>,
): { readonly provider: string | undefined; readonly hosts: readonly AgentHostFacts[] } {
  const api = apiOf(agent, settings.provider);
  return api === undefined
    ? { provider: agent.provider, hosts: agent.hosts }
    : { provider: api.provider, hosts: api.hosts.map((host) => filledIn(host, settings)) };
}

/** Not the login, though there is one: the key of the agent's maker. */
const byKey = 'key';
const byLogin = 'login';

function apiOf(agent: AgentFacts, name: string | undefined): AgentApiFacts | undefined {
  if (name === byKey) {
    return { provider: agent.provider, needs: [], hosts: agent.hosts };
  }
  return name !== undefined && agent.apis !== undefined && Object.hasOwn(agent.apis, name) ? agent.apis[name] : undefined;
}

function filledIn(
  host: AgentHostFacts,
  { region = '', project = '' }: Pick<AgentSettings, 'region' | 'project'>,
): AgentHostFacts {
  const fill = (text: string): string => text.replaceAll('{region}', region).replaceAll('{project}', project);
  return {
    ...host,
    // What Google calls the region `global` has no region in its name.
    host: region === 'global' ? host.host.replace('{region}-', '') : fill(host.host),
    http: host.http?.map((allowance) => ({ ...allowance, path: fill(allowance.path) })),
  };
}

/**
 * Where no policy says how the agent signs in, the login of this host is used if there is one. It is a person's own, so
 * at the levels `service` and `maximum` it is used only where a policy that no project wrote says so.
 */
export function withSignIn(
  settings: AgentSettings,
  facts: Facts,
  { level, origins }: { level: Level; origins: Origins },
): AgentSettings {
  const isPersonal = level === 'personal' || level === 'team';
  const place = originAt(origins, 'provider');
  if (settings.provider === byLogin && !isPersonal && place.layer === 'project') {
    throw faultAt('POLICY_INVALID', place, `a project file must not ask for a login at the level ${level}`, {
      hint: "A login is a person's own: say it in your own policy file, or use a key.",
    });
  }
  return settings.provider === undefined && isPersonal && hasLogin(settings, facts)
    ? { ...settings, provider: byLogin }
    : settings;
}

function hasLogin({ name = '' }: AgentSettings, { agents, logins = [] }: Facts): boolean {
  const agent = Object.hasOwn(agents, name) ? agents[name] : undefined;
  return agent !== undefined && logins.includes(name) && apiOf(agent, byLogin) !== undefined;
}

type Origins = Readonly<Record<string, Origin | undefined>>;

/** Throws `POLICY_INVALID` where the agent does not know the provider, or the provider wants to know more or less. */
export function checkAgentApi(settings: AgentSettings, agent: AgentFacts | undefined, origins: Origins): void {
  const { name = '', provider } = settings;
  const api = agent === undefined ? undefined : apiOf(agent, provider);
  if (provider !== undefined && api === undefined) {
    throw unknownProvider(provider, name, {
      known: [byKey, ...Object.keys(agent?.apis ?? {})],
      origin: originAt(origins, 'provider'),
    });
  }
  for (const key of ['region', 'project'] as const) {
    const isNeeded = api?.needs.includes(key) === true;
    if (isNeeded !== (settings[key] !== undefined)) {
      throw isNeeded ? missing(key, settings, origins) : unwanted(key, settings, origins);
    }
  }
}

/**
 * A rule that binds the host of the agent's model to something else, while the agent signs in with the login: it would
 * present a stand-in of the login where another one is expected, and be refused at each request. Throws `POLICY_INVALID`.
 */
export function checkSignIn(settings: AgentSettings, agent: AgentFacts | undefined, rules: readonly NetworkRule[]): void {
  const { name = '', provider } = settings;
  if (agent === undefined || provider !== byLogin) {
    return;
  }
  const access = agentAccess(agent, settings);
  const clashing = rules.find((rule) => access.hosts.some((host) => isBoundElsewhere(rule, host, access.provider)));
  if (clashing !== undefined) {
    const bound = `${formatHostPattern(clashing.host)} is bound to the credential "${visible(clashing.credential ?? '')}"`;
    throw faultAt('POLICY_INVALID', clashing.origin, `${bound}, but the agent ${visible(name)} signs in with its login`, {
      hint: `To use that credential: agent: { name: ${visible(name)}, provider: key }. To use the login, leave \`credential\` out of the rule.`,
    });
  }
}

function isBoundElsewhere(rule: NetworkRule, { host, ports, credential }: AgentHostFacts, login: string | undefined): boolean {
  const isOther = credential && rule.credential !== undefined && rule.credential !== login;
  return isOther && rule.ports.some((port) => ports.includes(port)) && matchesHost(rule.host, parseHost(host));
}

function missing(key: 'region' | 'project', { name = '', provider = '' }: AgentSettings, origins: Origins): CasemateError {
  return faultAt('POLICY_INVALID', originAt(origins, 'provider'), `the provider ${provider} needs agent.${key}`, {
    hint: `Example: agent: { name: ${visible(name)}, provider: ${provider}, ${key}: ${examples[key]} }`,
  });
}

function unwanted(key: 'region' | 'project', { provider = 'of its maker' }: AgentSettings, origins: Origins): CasemateError {
  return faultAt('POLICY_INVALID', originAt(origins, key), `agent.${key} says nothing to the provider ${provider}`, {
    hint: 'Leave it out, or name the provider under agent.provider.',
  });
}

function unknownProvider(
  provider: string,
  agent: string,
  { known, origin }: { readonly known: readonly string[]; readonly origin: Origin },
): CasemateError {
  const near = nearest(provider, known);
  const list = known.length === 1 ? 'It has none but its maker.' : `Providers: ${known.join(', ')}.`;
  return faultAt('POLICY_INVALID', origin, `the agent ${visible(agent)} has no provider "${visible(provider)}"`, {
    hint: near === undefined ? list : `Did you mean "${near}"?`,
  });
}

function originAt(origins: Origins, key: string): Origin {
  return origins[`agent.${key}`] ?? { layer: 'default', source: 'the default' };
}

const examples = { region: 'eu-west-1', project: 'my-project' } as const;
