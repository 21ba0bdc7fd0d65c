import { CasemateError } from '../../../base/errors.ts';
import { visible } from '../../../base/text.ts';
import type { Environment } from '../../../system/environment.ts';
import type { Machine } from '../../kernel/seccomp.ts';
import type { EngineFacts } from '../engine-facts.ts';
import { unsupported } from '../place/endpoint.ts';
import type { UplinkPlace } from '../uplink/bodies.ts';
import { uplinkVariable } from '../uplink/forced.ts';

/**
 * Whether an engine's containers run on another kernel than this process, as in a virtual machine, and what follows from that.
 */
export interface EngineWay {
  /** What it gives is told by the observer, and files are the same only where the two machines share them. */
  readonly isElsewhere: boolean;
  /** how traffic comes here; `undefined`: listeners are handed over */
  readonly uplink: UplinkPlace | undefined;
}

/** Whoever starts the daemon may have the engine's kernel taken for another one: tests do. */
export const kernelVariable = 'CASEMATE_DOCKER_KERNEL';

/** Throws `UNSUPPORTED` for another word than `other`. */
export function forcedElsewhere(env: Pick<Environment, 'get'>): boolean {
  const value = env.get(kernelVariable) ?? '';
  if (value !== '' && value !== 'other') {
    throw unsupported(`${kernelVariable} is ${visible(value)}`, 'Write other, or leave it out.');
  }
  return value === 'other';
}

export const elsewhereWay = `its kernel is taken for another one (${kernelVariable})`;

/** As Docker Desktop calls this host in its containers; what is sent there comes to loopback. */
const desktop: UplinkPlace = { network: 'bridge', host: 'host.docker.internal' };

const architectures: Readonly<Record<Machine, string>> = { x64: 'x86_64', arm64: 'aarch64' };

export interface Here {
  /** of this host's kernel */
  readonly release: string;
  readonly machine: Machine;
  readonly isForced: boolean;
  readonly uplink: UplinkPlace | undefined;
}

/**
 * Pure. Where two machines have one release, their processes and mounts are found to be others at the first start. Throws
 * `ENGINE_FAILED` for an engine elsewhere that cannot hold a sandbox of this host.
 */
export function wayOf({ product, kernel, architecture, system }: EngineFacts, here: Here): EngineWay {
  const isElsewhere = here.isForced || kernel !== here.release;
  const uplink = here.uplink ?? (isElsewhere && system === 'Docker Desktop' ? desktop : undefined);
  if (!isElsewhere) {
    return { isElsewhere, uplink };
  }
  const where = `this ${product} runs its containers on another machine (Linux ${visible(kernel)}, here it is ${visible(here.release)})`;
  if (product === 'Podman') {
    throw new CasemateError('ENGINE_FAILED', where, {
      hint: 'Under Podman what it gives a sandbox could not be read back there. Start casemate on that machine.',
    });
  }
  if (architecture !== architectures[here.machine]) {
    throw new CasemateError('ENGINE_FAILED', `${where}, of another kind (${visible(architecture)})`, {
      hint: 'Start casemate on that machine.',
    });
  }
  if (uplink === undefined) {
    throw new CasemateError('ENGINE_FAILED', `${where}, and nothing says how a container there reaches this host`, {
      hint: `Set ${uplinkVariable} where the daemon is started: host:ADDRESS, where ADDRESS is what that machine calls the loopback of this one, or bridge:ADDRESS as containers there do. Otherwise start casemate on that machine.`,
    });
  }
  return { isElsewhere, uplink };
}
