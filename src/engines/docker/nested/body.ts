import type { ContainerSpec } from '../../containers.ts';
import type { EngineLimits } from '../../engine-limits.ts';
import { memoryOptions } from '../../kernel/limits.ts';
import { hostConfig, type BindMount, type BodyFacts, type VolumeMount } from '../container-bodies.ts';
import { labels, labelsOf } from '../labels.ts';

/**
 * The request for a container next to the sandbox. Pure: the sandbox's own confinement, and the settings that its maker may
 * choose.
 */

export interface NestedBody {
  readonly User: string;
  readonly Image: string;
  readonly Labels: Readonly<Record<string, string>>;
  readonly HostConfig: Readonly<Record<string, unknown>>;
  /** what its maker may say */
  readonly [said: string]: unknown;
}

export interface NestedFacts extends Omit<BodyFacts, 'firstUser' | 'limits' | 'image'> {
  readonly share: EngineLimits;
  /** `uid:gid` of the agent */
  readonly user: string;
  /** id of the container whose network it joins */
  readonly keeper: string;
  readonly mounts: readonly (BindMount | VolumeMount)[];
  /** variables that every container gets where its maker sets none of that name */
  readonly env: readonly string[];
}

/** Of what it writes to its streams. */
const logBytes = '8m';

export function nestedBody(facts: NestedFacts, spec: ContainerSpec): NestedBody {
  const limits = { ...facts.share, memoryBytes: spec.memoryBytes, pids: spec.pids, cpus: spec.cpus };
  const set = new Set(spec.env.map((entry) => entry.split('=')[0]));
  const folders = spec.memoryFolders.map(({ target, bytes, isExecutable }) => {
    const bounded = memoryOptions(Math.min(bytes, limits.memoryBytes), ['mode=1777']);
    return [target, ['rw', isExecutable ? 'exec' : 'noexec', ...bounded].join(',')] as const;
  });
  return {
    User: facts.user,
    Image: spec.image,
    Labels: {
      ...labelsOf(facts.marks, 'nested'),
      [labels.note]: spec.note,
      [labels.share]: `${limits.memoryBytes} ${limits.pids} ${limits.cpus}`,
    },
    ...defined({
      Entrypoint: spec.entrypoint,
      Cmd: spec.command,
      StopSignal: spec.stopSignal,
      StopTimeout: spec.stopSeconds,
      Healthcheck: spec.health,
    }),
    Env: [...facts.env.filter((entry) => !set.has(entry.split('=')[0])), ...spec.env],
    WorkingDir: spec.workingDir,
    Tty: spec.tty,
    OpenStdin: spec.openStdin,
    StdinOnce: spec.stdinOnce,
    AttachStdin: spec.openStdin,
    AttachStdout: true,
    AttachStderr: true,
    HostConfig: {
      ...hostConfig({ ...facts, limits }),
      ReadonlyRootfs: spec.isReadonly,
      NetworkMode: spec.network === 'none' ? 'none' : `container:${facts.keeper}`,
      Mounts: facts.mounts,
      Tmpfs: Object.fromEntries(folders),
      AutoRemove: spec.autoRemove,
      LogConfig: { Type: 'json-file', Config: { 'max-size': logBytes, 'max-file': '1' } },
    },
  };
}

function defined(values: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined));
}
