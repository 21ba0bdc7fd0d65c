import { CasemateError } from '../../base/errors.ts';
import { nearest, visible } from '../../base/text.ts';
import { agentAccess } from './agent-api.ts';
import { functionsOf } from '../judging/functions.ts';
import { registryKinds, type AgentFacts, type Facts, type RegistryKind } from '../facts.ts';
import { readHostPattern } from '../matching/parse-host-pattern.ts';
import { faultAt } from '../written/policy-layer.ts';
import type { HttpAllowance, NetworkRule, Policy } from '../policy.ts';
import type { Origin } from '../origin.ts';

/** Presets: named sets of rules, as data. Each agent has a preset of its own name; package presets only allow reads. */

/** A preset and where it was listed. */
export interface ListedPreset {
  readonly name: string;
  readonly origin: Origin;
}

export interface PresetContext {
  readonly facts: Facts;
  readonly telemetry: boolean;
  /** how the sandbox's own agent is set up */
  readonly agent?: Policy['agent'] | undefined;
}

type PresetHost = Pick<NetworkRule, 'ports' | 'http' | 'git' | 'registry' | 'credential' | 'upstream'> & {
  readonly host: string;
};

const read: readonly HttpAllowance[] = [{ methods: ['GET', 'HEAD'], path: '/**' }];

const reads = (...paths: readonly string[]): readonly HttpAllowance[] =>
  paths.map((path) => ({ methods: ['GET', 'HEAD'], path }));

/**
 * Clone, fetch and reading; nothing of it writes. Of the interface only what belongs to repositories and their people:
 * not the caller's own keys, mail addresses and notifications, and not GraphQL, where one `POST` both reads and writes.
 */
const github: readonly Pick<PresetHost, 'host' | 'http' | 'git'>[] = [
  { host: 'github.com', http: reads('/*/*', '/*/*/**'), git: [{ repository: '**', push: [], changes: ['create', 'update'] }] },
  {
    host: 'api.github.com',
    http: reads(
      '/',
      '/repos/**',
      '/repositories/**',
      '/search/**',
      '/users/**',
      '/orgs/**',
      '/gists/**',
      '/licenses/**',
      '/advisories/**',
      '/user',
      '/rate_limit',
      '/meta',
    ),
  },
  { host: 'codeload.github.com', http: reads('/*/*/*/**') },
  { host: 'raw.githubusercontent.com', http: reads('/*/*/**') },
  { host: 'media.githubusercontent.com', http: reads('/media/**') },
  // Addresses of files, signed by the two above.
  { host: 'objects.githubusercontent.com', http: read },
  { host: 'release-assets.githubusercontent.com', http: read },
];

/** Where the token may be of use: private repositories. The others are signed addresses. */
const githubWithToken: ReadonlySet<string> = new Set(['github.com', 'api.github.com', 'raw.githubusercontent.com']);

const whereConfigured: Readonly<Record<RegistryKind, string>> = {
  npm: 'Set it with: npm config set registry URL, or list its hosts under "network".',
  debian: 'Add a source to /etc/apt/sources.list.d, or list its hosts under "network".',
  pypi: 'Set it with: pip config set global.index-url URL, or list its hosts under "network".',
};

function presetNames(facts: Facts): readonly string[] {
  return [...Object.keys(facts.agents), ...registryKinds, 'github'];
}

/** Throws `POLICY_INVALID` for a preset that does not exist, and for one whose hosts this machine does not name. */
export function presetRules({ name, origin }: ListedPreset, context: PresetContext): readonly NetworkRule[] {
  refuseAboveItsRank(name, origin, context.facts);
  const hosts = presetHosts(name, context);
  if (hosts === undefined) {
    const near = nearest(name, presetNames(context.facts));
    throw faultAt('POLICY_INVALID', origin, `there is no preset "${visible(name)}"`, {
      hint: near === undefined ? `Presets: ${presetNames(context.facts).join(', ')}.` : `Did you mean "${near}"?`,
    });
  }
  const kind = registryKinds.find((candidate) => candidate === name);
  if (kind !== undefined && hosts.length === 0) {
    throw faultAt(
      'POLICY_INVALID',
      origin,
      `the preset ${name} takes its hosts from this machine's own configuration, which names none`,
      {
        hint: whereConfigured[kind],
      },
    );
  }
  return hosts.map((host, index) => ruleOf(host, name, index));
}

/** What the organisation lists must not come to mean what a user writes into a file. Throws `POLICY_INVALID`. */
export function refuseAboveItsRank(name: string, origin: Origin, facts: Facts): void {
  if (origin.layer === 'organisation' && agentOf(facts, name)?.describedBy === 'user') {
    throw faultAt('POLICY_INVALID', origin, `the agent "${visible(name)}" is described by a user's file alone`, {
      hint: "The organisation's policy may name what its own folder of agents describes.",
    });
  }
}

function presetHosts(name: string, { facts, telemetry, agent: own }: PresetContext): readonly PresetHost[] | undefined {
  const kind = registryKinds.find((candidate) => candidate === name);
  if (kind !== undefined) {
    return facts.registries[kind].map(({ host, port, upstream }) => ({
      host,
      ports: [port],
      http: undefined,
      registry: kind,
      credential: storedCredential(kind, facts),
      upstream,
    }));
  }
  if (name === 'github') {
    const credential = storedCredential('github', facts);
    return github.map((place) => ({
      ...place,
      ports: [443],
      credential: githubWithToken.has(place.host) ? credential : undefined,
      upstream: undefined,
    }));
  }
  const agent = agentOf(facts, name);
  if (agent === undefined) {
    return undefined;
  }
  const access = agentAccess(agent, own?.name === name ? own : {});
  return access.hosts
    .filter((host) => telemetry || !host.telemetry)
    .map(({ host, ports, http, credential }) => ({
      host,
      ports,
      http,
      credential: credential ? access.provider : undefined,
      upstream: undefined,
    }));
}

/** A token that is stored under the name of the preset is used; without one everything is read as anybody may. */
function storedCredential(name: string, { stored }: Facts): string | undefined {
  return name !== 'debian' && stored.includes(name) ? name : undefined;
}

export function agentOf(facts: Facts, name: string): AgentFacts | undefined {
  return Object.hasOwn(facts.agents, name) ? facts.agents[name] : undefined;
}

function ruleOf({ host, ports, credential, upstream, ...functions }: PresetHost, name: string, index: number): NetworkRule {
  const reading = readHostPattern(host);
  if ('fault' in reading) {
    throw new CasemateError('INTERNAL', `preset ${name}: host ${visible(host)} ${reading.fault}`);
  }
  const origin: Origin = { layer: 'preset', source: name };
  return {
    id: `preset:${name}:${index + 1}`,
    host: reading.pattern,
    ports,
    credential,
    ...functionsOf(functions),
    upstream,
    origin,
  };
}
