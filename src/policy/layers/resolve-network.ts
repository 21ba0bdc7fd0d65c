import { formatHostPattern } from '../matching/host-pattern.ts';
import type { Facts } from '../facts.ts';
import { composeNetwork, writtenRules } from './compose-network.ts';
import { firstContradiction, firstExcess, inheritFrom, type Excess } from './cover-network.ts';
import { faultAt, formatOrigin, originOf, type PolicyLayer } from '../written/policy-layer.ts';
import { noAgent, type NetworkRule } from '../policy.ts';
import type { Origin } from '../origin.ts';
import { presetRules, type ListedPreset } from './presets.ts';
import { checkBinding, type KnownCredentials } from './resolve-credentials.ts';
import { byDefault, filesOf, type PolicyLayers, type Scalars } from './resolve-scalars.ts';
import { widens } from './widening.ts';

/**
 * Resolves the network rules of all layers. `presets` and `network` are two separate keys, and for each the lowest layer that
 * writes it wins; if no layer writes `presets`, the agent's own preset is used. A layer that writes either key limits all lower
 * layers to what both keys allow at that layer.
 */
export interface ResolvedNetwork {
  readonly presets: readonly ListedPreset[];
  readonly rules: readonly NetworkRule[];
  /** the organisation's own, where it writes any: no approval goes beyond them */
  readonly bound: readonly NetworkRule[] | undefined;
  readonly origins: Readonly<Record<string, Origin>>;
}

export interface NetworkContext {
  readonly facts: Facts;
  readonly agent: Scalars['agent'];
  readonly agentOrigin: Origin;
  readonly credentials: KnownCredentials;
  /** a user's rules that no organisation bounds; default: none */
  readonly isUnbound?: ((rule: NetworkRule) => boolean) | undefined;
}

interface State {
  readonly presets: readonly ListedPreset[] | undefined;
  readonly written: readonly NetworkRule[];
  readonly rules: readonly NetworkRule[];
  /** where the lowest layer that writes either writes it */
  readonly origin: Origin | undefined;
}

/** Throws `POLICY_INVALID` and `POLICY_WIDENS`. */
export function resolveNetwork(layers: PolicyLayers, context: NetworkContext): ResolvedNetwork {
  const start: State = { presets: undefined, written: [], rules: expand(undefined, [], context), origin: undefined };
  let state = start;
  let organisation: State | undefined;
  for (const layer of filesOf(layers)) {
    state = addLayer(state, layer, context);
    organisation = layer.kind === 'organisation' && state.origin !== undefined ? state : organisation;
  }
  const { presets, rules } = addCommandLine(state, layers.commandLine, { organisation, context });
  refuseContradiction(rules);
  const unbound = rules.filter((rule) => context.isUnbound?.(rule) === true);
  const bound = organisation === undefined ? undefined : [...organisation.rules, ...unbound];
  return { presets, rules, bound, origins: originsOf(layers, state, presets) };
}

function addLayer(above: State, layer: PolicyLayer, context: NetworkContext): State {
  const { network, presets: listed } = layer.written;
  if (network === undefined && listed === undefined) {
    return above;
  }
  const presets = listed === undefined ? above.presets : listedPresets(layer, above.presets);
  const written = network === undefined ? above.written : writtenRules(layer);
  const composed = expand(presets, written, context);
  const rules = above.origin === undefined ? composed : inheritFrom(composed, above.rules);
  for (const rule of rules) {
    checkBinding(rule, context.credentials, { facts: context.facts, trusted: above.rules });
  }
  if (above.origin !== undefined) {
    const bounded = layer.kind === 'user' ? boundedOf(rules, context) : rules;
    refuseExcess(firstExcess(bounded, above.rules), above.origin, presets ?? agentPreset(context));
  }
  return { presets, written, rules, origin: originOf(layer, [network === undefined ? 'presets' : 'network']) };
}

function boundedOf(rules: readonly NetworkRule[], { isUnbound }: NetworkContext): readonly NetworkRule[] {
  return isUnbound === undefined ? rules : rules.filter((rule) => !isUnbound(rule));
}

/** The person adds presets to whatever the files say; the organisation alone bounds that. */
function addCommandLine(
  state: State,
  layer: PolicyLayer | undefined,
  { organisation, context }: { readonly organisation: State | undefined; readonly context: NetworkContext },
): Pick<ResolvedNetwork, 'presets' | 'rules'> {
  const listed = state.presets ?? agentPreset(context);
  const wanted = layer === undefined ? [] : commandLinePresets(layer);
  const added = wanted.filter((preset) => listed.every((one) => one.name !== preset.name));
  const presets = [...listed, ...added];
  const composed = composeNetwork(expand(added, [], context), state.rules);
  const rules = organisation === undefined ? composed : inheritFrom(composed, organisation.rules);
  if (organisation?.origin !== undefined) {
    refuseExcess(firstExcess(boundedOf(rules, context), organisation.rules), organisation.origin, presets);
  }
  return { presets, rules };
}

/** Whoever names an agent at the terminal means it to work: its preset comes along. */
function commandLinePresets(layer: PolicyLayer): readonly ListedPreset[] {
  const agent = layer.written.agent?.name;
  const listed = (layer.written.presets ?? []).map((name, index) => ({ name, origin: originOf(layer, ['presets', index]) }));
  return agent === undefined || agent === noAgent
    ? listed
    : [{ name: agent, origin: originOf(layer, ['agent', 'name']) }, ...listed];
}

/** A preset that a layer above lists as well keeps the place where that one lists it. */
function listedPresets(layer: PolicyLayer, above: readonly ListedPreset[] | undefined): readonly ListedPreset[] {
  const own = (layer.written.presets ?? []).map((name, index) => ({ name, origin: originOf(layer, ['presets', index]) }));
  return [...new Map(own.map((preset) => [preset.name, above?.find(({ name }) => name === preset.name) ?? preset])).values()];
}

function agentPreset({ agent, agentOrigin }: NetworkContext): readonly ListedPreset[] {
  return agent.name === undefined ? [] : [{ name: agent.name, origin: agentOrigin }];
}

function expand(
  presets: readonly ListedPreset[] | undefined,
  written: readonly NetworkRule[],
  context: NetworkContext,
): readonly NetworkRule[] {
  const { facts, agent } = context;
  const rules = (presets ?? agentPreset(context)).flatMap((preset) =>
    presetRules(preset, { facts, telemetry: agent.telemetry, agent }),
  );
  return composeNetwork(rules, written);
}

function refuseExcess(excess: Excess | undefined, bound: Origin, presets: readonly ListedPreset[]): void {
  if (excess === undefined) {
    return;
  }
  const { rule, host, port, what } = excess;
  const shown = host.startsWith('_') ? formatHostPattern(rule.host) : host;
  const place =
    presets.find((preset) => rule.origin.layer === 'preset' && preset.name === rule.origin.source)?.origin ?? rule.origin;
  const by = rule.origin.layer === 'preset' ? `the preset ${rule.origin.source} opens ` : '';
  const differs = {
    destination: 'which is not what',
    functions: 'with more functions than',
    credential: 'not with the credential that',
    upstream: 'not by the upstream that',
  };
  throw widens(place, bound, `${by}${shown}:${port}, ${differs[what]}`);
}

function refuseContradiction(rules: readonly NetworkRule[]): void {
  const pair = firstContradiction(rules);
  if (pair !== undefined) {
    const [first, second] = pair;
    const key = first.credential === second.credential ? 'upstream' : 'credential';
    throw faultAt(
      'POLICY_INVALID',
      second.origin,
      `this rule and the one of ${formatOrigin(first.origin)} decide about the same host and port with different values of "${key}"`,
      {
        hint: `Give both the same ${key}, or narrow the host of one.`,
      },
    );
  }
}

function originsOf(layers: PolicyLayers, state: State, presets: readonly ListedPreset[]): Record<string, Origin> {
  const writers = filesOf(layers).filter(({ written }) => written.network !== undefined || written.presets !== undefined);
  const [bound] = writers;
  const lister = writers.findLast(({ written }) => written.presets !== undefined);
  return {
    network: state.origin ?? byDefault,
    presets: lister === undefined ? byDefault : originOf(lister, ['presets']),
    ...(bound === undefined || bound.kind === 'project'
      ? {}
      : { 'network.bound': originOf(bound, [bound.written.network === undefined ? 'presets' : 'network']) }),
    ...Object.fromEntries(presets.map(({ name, origin }) => [`presets.${name}`, origin])),
  };
}
