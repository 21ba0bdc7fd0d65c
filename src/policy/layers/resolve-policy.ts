import type { LayerName } from '../../base/layers.ts';
import { nearest, visible } from '../../base/text.ts';
import { checkAgentApi, checkSignIn, withSignIn } from './agent-api.ts';
import { checkProject } from './check-project.ts';
import type { Facts } from '../facts.ts';
import { faultAt, originOf, type PolicyLayer } from '../written/policy-layer.ts';
import type { CredentialRule, NetworkRule, Policy } from '../policy.ts';
import type { Origin } from '../origin.ts';
import { agentOf, refuseAboveItsRank } from './presets.ts';
import { resolveDocker } from './resolve-docker.ts';
import { resolveCredentials, type KnownCredentials } from './resolve-credentials.ts';
import { resolveGuards } from './resolve-guards.ts';
import { resolveNetwork, type NetworkContext } from './resolve-network.ts';
import { resolveShare } from './resolve-share.ts';
import { byDefault, filesOf, isRecipePath, resolveScalars, type PolicyLayers, type Scalars } from './resolve-scalars.ts';
import { widens } from './widening.ts';

/**
 * Resolves the layers to one policy. Organisation, user and project each limit the layers below. The command line is the person
 * at the terminal: it may replace what user and project say, and only the organisation limits it. A key that a layer does not
 * write neither limits nor changes anything.
 */

export interface ResolveOptions {
  readonly folder: string;
  /** rules of a user that no organisation bounds: those for the hosts of a lab, in a lab */
  readonly isUnbound?: NetworkContext['isUnbound'];
}

/**
 * `folder` is where the caller works: the workspace where nothing else is written. The result is frozen. Throws
 * `POLICY_INVALID` for what may not be said, `POLICY_WIDENS`, naming both places, for what a layer above does not allow.
 */
export function resolvePolicy(layers: PolicyLayers, facts: Facts, { folder, isUnbound }: ResolveOptions): Policy {
  if (layers.project !== undefined) {
    checkProject(layers.project);
  }
  const { origins, image, ...written } = resolveScalars(layers, folder);
  const scalars = { ...written, agent: withSignIn(written.agent, facts, { level: written.level, origins }) };
  const agentOrigin = origins['agent.name'] ?? byDefault;
  checkAgent(scalars.agent.name, facts, agentOrigin);
  const agent = scalars.agent.name === undefined ? undefined : agentOf(facts, scalars.agent.name);
  checkAgentApi(scalars.agent, agent, origins);
  const credentials = resolveCredentials(layers, facts);
  const network = resolveNetwork(layers, { facts, agent: scalars.agent, agentOrigin, credentials, isUnbound });
  checkSignIn(scalars.agent, agent, network.rules);
  const waived = resolveWaivers(layers);
  // Nobody's sandbox alone has it, but a user's that is more than the organisation's is told of wherever policies are read.
  resolveShare(layers);
  const docker = resolveDocker(layers);
  return freeze({
    version: 1,
    ...scalars,
    image: checkImage(image, origins['image']) ?? defaultImage(scalars, facts),
    presets: network.presets.map(({ name }) => name),
    network: network.rules,
    bound: network.bound,
    credentials: usedCredentials(network.rules, credentials),
    guards: resolveGuards(layers),
    ...(docker === undefined ? {} : { docker: docker.offer }),
    waive: waived.layers,
    origins: { ...origins, ...network.origins, ...docker?.origins, waive: waived.origin },
  });
}

function checkAgent(name: string | undefined, facts: Facts, origin: Origin): void {
  refuseAboveItsRank(name ?? '', origin, facts);
  if (name !== undefined && agentOf(facts, name) === undefined) {
    const known = Object.keys(facts.agents);
    const near = nearest(name, known);
    throw faultAt('POLICY_INVALID', origin, `there is no agent "${visible(name)}"`, {
      hint: near === undefined ? `Agents: ${known.join(', ')}.` : `Did you mean "${near}"?`,
    });
  }
}

function checkImage(image: string | undefined, origin: Origin = byDefault): string | undefined {
  if (image !== undefined && !isRecipePath(image) && !/^[a-z0-9][a-z0-9._-]{0,63}$/.test(image)) {
    throw faultAt('POLICY_INVALID', origin, `"${visible(image)}" is not the name of a recipe`, {
      hint: 'Use a name such as base, or a path such as ./recipe.yaml.',
    });
  }
  return image;
}

function defaultImage({ agent }: Pick<Scalars, 'agent'>, facts: Facts): string {
  return (agent.name === undefined ? undefined : agentOf(facts, agent.name)?.recipe) ?? 'base';
}

/** Only what a rule uses: a credential nobody uses need not be readable. */
function usedCredentials(rules: readonly NetworkRule[], known: KnownCredentials): readonly CredentialRule[] {
  const names = [...new Set(rules.flatMap(({ credential }) => (credential === undefined ? [] : [credential])))].toSorted();
  return names.flatMap((name) => known.get(name)?.rule ?? []);
}

function resolveWaivers(layers: PolicyLayers): { readonly layers: readonly LayerName[]; readonly origin: Origin } {
  const { organisation, commandLine } = layers;
  let held: { layers: readonly LayerName[]; origin: Origin } = { layers: [], origin: byDefault };
  for (const layer of [...filesOf(layers), commandLine]) {
    const stated = layer?.written.waive;
    if (layer !== undefined && stated !== undefined) {
      checkWaivers(layer, stated, organisation);
      held = { layers: layer.kind === 'command line' ? [...held.layers, ...stated] : stated, origin: originOf(layer, ['waive']) };
    }
  }
  return { layers: [...new Set(held.layers)].toSorted(), origin: held.origin };
}

function checkWaivers(layer: PolicyLayer, stated: readonly LayerName[], organisation: PolicyLayer | undefined): void {
  const allowed = organisation?.written.waive;
  const extra = stated.find((name) => allowed?.includes(name) === false);
  if (organisation !== undefined && extra !== undefined) {
    throw widens(
      originOf(layer, ['waive', stated.indexOf(extra)]),
      originOf(organisation, ['waive']),
      `waiving ${extra} is more than`,
    );
  }
}

function freeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.values(value).forEach(freeze);
    Object.freeze(value);
  }
  return value;
}
