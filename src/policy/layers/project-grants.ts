import { formatBytes, formatDuration } from '../../base/units.ts';
import { visible } from '../../base/text.ts';
import { formatFunctions } from '../judging/format-functions.ts';
import { formatHostPattern } from '../matching/host-pattern.ts';
import type { NetworkRule, Policy } from '../policy.ts';
import { isRecipePath, defaultLimits } from './resolve-scalars.ts';

/**
 * What a project file asks for beyond what every sandbox has. A person approves these lines before they take effect for the
 * first time.
 */

/**
 * One line for each grant, safe to print, in a fixed order; empty where the project only narrows. What a layer above
 * has written itself is not among them: somebody trusted has granted it.
 */
export function projectGrants(policy: Policy): readonly string[] {
  const { agent, image, origins } = policy;
  const isAsked = (path: string): boolean => origins[path]?.layer === 'project';
  return [
    ...(isAsked('agent.name') && agent.name !== undefined ? [`starts the agent ${visible(agent.name)}`] : []),
    ...(isAsked('agent.permissions') && agent.permissions === 'skip' ? ['lets the agent act without asking'] : []),
    ...(isAsked('agent.provider') && agent.provider !== undefined
      ? [
          `has the agent reach its model by ${visible(agent.provider)}${agent.region === undefined ? '' : ` in ${visible(agent.region)}`}`,
        ]
      : []),
    ...(isAsked('agent.telemetry') && agent.telemetry ? ['lets the agent report its use to its maker'] : []),
    ...(isAsked('image')
      ? [
          isRecipePath(image)
            ? `builds and uses the image of its own recipe ${visible(image)}`
            : `uses the image ${visible(image)}`,
        ]
      : []),
    ...policy.network.filter((rule) => isGranted(rule, policy)).map(describeRule),
    ...dockerGrants(policy, isAsked),
    ...limitGrants(policy, isAsked),
  ];
}

function isGranted({ origin }: NetworkRule, { origins }: Policy): boolean {
  if (origin.layer === 'project') {
    // Within what a layer above has written, or it would not have been resolved.
    return origins['network.bound'] === undefined;
  }
  return origin.layer === 'preset' && origins[`presets.${origin.source}`]?.layer === 'project';
}

function describeRule(rule: NetworkRule): string {
  const ports = rule.ports.join(', ');
  const lines = formatFunctions(rule);
  const functions = lines === undefined ? '' : lines.length === 0 ? ', no function' : `, only ${lines.join('; ')}`;
  const credential = rule.credential === undefined ? '' : `, with the credential ${rule.credential}`;
  return `reaches ${formatHostPattern(rule.host)} on port ${ports}${credential}${functions}`;
}

function dockerGrants({ docker }: Policy, isAsked: (path: string) => boolean): readonly string[] {
  return [
    ...(isAsked('docker.run') && docker?.run === true ? ['runs containers of its own within the sandbox'] : []),
    ...(isAsked('docker.build') && docker?.build === true ? ['builds images within the sandbox'] : []),
    ...(isAsked('docker.images')
      ? (docker?.images ?? []).map((image) => `uses the image ${visible(image)} of the host's engine`)
      : []),
  ];
}

function limitGrants({ limits }: Policy, isAsked: (path: string) => boolean): readonly string[] {
  const rows = [
    ['memory', limits.memoryBytes, defaultLimits.memoryBytes, formatBytes],
    ['cpus', limits.cpus, defaultLimits.cpus, String],
    ['pids', limits.pids, defaultLimits.pids, String],
    ['disk', limits.diskBytes, defaultLimits.diskBytes, formatBytes],
    ['fileSize', limits.fileBytes, defaultLimits.fileBytes, formatBytes],
    ['files', limits.openFiles, defaultLimits.openFiles, String],
    ['time', limits.timeMs, defaultLimits.timeMs, formatDuration],
    ['idle', limits.idleMs, defaultLimits.idleMs, formatDuration],
  ] as const;
  return rows.flatMap(([name, value, standard, show]) =>
    isAsked(`limits.${name}`) && value !== undefined && standard !== undefined && value > standard
      ? [`raises the limit ${name} to ${show(value)} (otherwise ${show(standard)})`]
      : [],
  );
}
