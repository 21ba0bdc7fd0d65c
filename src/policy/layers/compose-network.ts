import { basename } from 'node:path';

import { functionsOf, hasFunctions, type Functions } from '../judging/functions.ts';
import { formatHostPattern } from '../matching/host-pattern.ts';
import { originOf, type PolicyLayer } from '../written/policy-layer.ts';
import type { McpAllowance, NetworkRule } from '../policy.ts';
import type { WrittenRule } from '../written/schema.ts';

/** Joins the written rules of a layer with those of its presets. Pure; absent keys stay absent. */

const defaultPorts: readonly number[] = [443];

/** `credential`, `http` and `upstream` are `undefined` where the rule has no opinion; a rule around it may fill them in. */
export function writtenRules(layer: PolicyLayer): readonly NetworkRule[] {
  const ids = new Set<string>();
  return (layer.written.network ?? []).map((rule, index) => {
    const origin = originOf(layer, ['network', index]);
    return {
      id: uniqueId(`${layer.kind}:${basename(layer.source)}:${origin.line ?? 0}`, ids),
      host: rule.host,
      ports: rule.ports ?? defaultPorts,
      credential: rule.credential,
      http: rule.allow,
      ...(rule.git === undefined ? {} : { git: rule.git }),
      ...(rule.mcp === undefined ? {} : { mcp: readMcp(rule.mcp) }),
      upstream: rule.upstream,
      origin,
    };
  });
}

function uniqueId(wanted: string, taken: Set<string>): string {
  let id = wanted;
  for (let count = 2; taken.has(id); count += 1) {
    id = `${wanted}.${count}`;
  }
  taken.add(id);
  return id;
}

/**
 * A written rule takes the place of a preset's rule for the same host and port, and keeps of it what it leaves out: so
 * `host` and `upstream` alone send a preset's host elsewhere and leave its credential and functions as they are.
 */
export function composeNetwork(presets: readonly NetworkRule[], written: readonly NetworkRule[]): readonly NetworkRule[] {
  const filled = written.map((rule) => {
    const preset = presets.find(
      (candidate) => isSameHost(candidate, rule) && candidate.ports.some((port) => rule.ports.includes(port)),
    );
    return preset === undefined ? rule : fillIn(rule, preset);
  });
  const remaining = presets.flatMap((preset) => {
    const taken = new Set(written.filter((rule) => isSameHost(rule, preset)).flatMap((rule) => rule.ports));
    const ports = preset.ports.filter((port) => !taken.has(port));
    return ports.length === 0 ? [] : [{ ...preset, ports }];
  });
  return [...withoutRepetition(remaining), ...filled];
}

function readMcp({ path, tools, methods }: NonNullable<WrittenRule['mcp']>): McpAllowance {
  return { path, tools, methods };
}

function fillIn(rule: NetworkRule, other: Functions & Pick<NetworkRule, 'credential' | 'upstream'>): NetworkRule {
  return {
    ...rule,
    credential: rule.credential ?? other.credential,
    ...functionsOf(hasFunctions(rule) ? rule : other),
    upstream: rule.upstream ?? other.upstream,
  };
}

function isSameHost(a: NetworkRule, b: NetworkRule): boolean {
  return formatHostPattern(a.host) === formatHostPattern(b.host);
}

/** A preset that two layers list gives its rules once. */
function withoutRepetition(rules: readonly NetworkRule[]): readonly NetworkRule[] {
  return [...new Map(rules.map((rule) => [rule.id, rule])).values()];
}
