import {
  commonBody,
  hostConfig,
  keeperLimits,
  uplinkFolder,
  volumeMount,
  type BodyFacts,
  type ContainerBody,
  type VolumeMount,
} from '../container-bodies.ts';
import { labelsOf, type Marks } from '../labels.ts';

/** The two containers of an uplink and what they share: a folder in memory with one socket. Pure. */

/** Where the uplink's container has its network, and where the daemon is from there. */
export interface UplinkPlace {
  /** mode of the engine's network */
  readonly network: 'host' | 'bridge';
  /** name or address of the daemon's host there */
  readonly host: string;
}

/** For the volume, the engine's own; its owner is who the programs in both containers run as. */
export function volumeBody(marks: Marks): Readonly<Record<string, unknown>> {
  return {
    Name: volumeOf(marks.sandbox),
    Driver: 'local',
    DriverOpts: { type: 'tmpfs', device: 'tmpfs', o: 'uid=65534,gid=65534,mode=0700,size=65536,nr_inodes=16' },
    Labels: labelsOf(marks, 'uplink'),
  };
}

export function volumeOf(sandbox: string): string {
  return `casemate-${sandbox}-uplink`;
}

export function uplinkMount(sandbox: string, access: 'read' | 'write'): VolumeMount {
  return volumeMount(volumeOf(sandbox), uplinkFolder, access);
}

/** Nothing of the sandbox is in it, and nothing but the one program of ours: it has a way out, and the sandbox has none. */
export function uplinkBody(facts: BodyFacts, { network }: UplinkPlace): ContainerBody {
  const own = { ...facts, limits: keeperLimits };
  return {
    ...commonBody(own),
    Labels: labelsOf(facts.marks, 'uplink'),
    HostConfig: {
      ...hostConfig(own),
      NetworkMode: network,
      Mounts: [uplinkMount(facts.marks.sandbox, 'write')],
      Tmpfs: {},
    },
  };
}
