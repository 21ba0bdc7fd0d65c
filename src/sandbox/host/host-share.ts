import { availableParallelism, totalmem } from 'node:os';

import type { HostShare } from './share-limits.ts';
import type { TogetherUse } from '../../engines/engine.ts';
import type { Limits } from '../../policy/policy.ts';
import type { Share } from '../../policy/share.ts';
import { kernelText } from '../../system/kernel-text.ts';
import type { Paths } from '../../system/paths.ts';
import type { SandboxContext } from '../context.ts';
import { loadShare } from '../policy-files/load-policy.ts';

/** How it stands. */
export interface ShareUse {
  /** callers that wait for room */
  readonly waiting: number;
  /** absent where the policy cannot be read */
  readonly share?: HostShare | undefined;
  /** what all sandboxes take now, read from the kernel; absent where they are not limited together */
  readonly together?: TogetherUse | undefined;
}

export interface HostSize {
  readonly memoryBytes: number;
  readonly cpus: number;
  /** processes and threads that the kernel can have at once */
  readonly threads: number;
}

const mebibyte = 1024 * 1024;
/** what an idle sandbox is reckoned with: its own processes, the kernel's tables for it, and the daemon's share */
const eachBytes = 64 * mebibyte;
/** On smaller hosts a tenth is nothing, and one sandbox may have all processors: weight alone keeps the host answering there. */
const boundedFrom = 4;

export function shareOf({ ready, running, memoryBytes, cpus, pids, callers, eachCaller }: Share, host: HostSize): HostShare {
  const memory = memoryBytes ?? Math.floor((host.memoryBytes / 5) * 4);
  return {
    ready,
    running: running ?? Math.min(500, Math.max(1, Math.floor(memory / eachBytes))),
    memoryBytes: memory,
    cpus: cpus ?? (host.cpus < boundedFrom ? undefined : Math.floor(host.cpus * 9) / 10),
    pids: pids ?? Math.max(64, Math.min(65_536, Math.floor(host.threads / 2))),
    callers,
    eachCaller,
  };
}

export function hostSize(): HostSize {
  const bounds = ['pid_max', 'threads-max'].map((name) => Number(kernelText(`/proc/sys/kernel/${name}`) ?? 32_768));
  return { memoryBytes: totalmem(), cpus: availableParallelism(), threads: Math.min(...bounds) };
}

/**
 * Read anew each time, unless it was just `read`: what a policy says holds from the next start. Throws `POLICY_INVALID`,
 * `POLICY_WIDENS`.
 */
export async function currentShare(paths: Pick<Paths, 'organisation' | 'config'>, read?: Share): Promise<HostShare> {
  return shareOf(read ?? (await loadShare(paths)), hostSize());
}

/** No sandbox has more than all of them together. */
export function limitsWithin(limits: Limits, { memoryBytes, cpus = Infinity, pids }: HostShare): Limits {
  return {
    ...limits,
    memoryBytes: Math.min(limits.memoryBytes, memoryBytes),
    cpus: Math.min(limits.cpus, cpus),
    pids: Math.min(limits.pids, pids),
  };
}

/** Brings into force what the policy says now, or was read to say just before. Throws where the host does not hold it. */
export async function applyShare(
  { engine, store, share }: Pick<SandboxContext, 'engine' | 'store' | 'share'>,
  read?: HostShare,
): Promise<TogetherUse | undefined> {
  const { ready, memoryBytes, cpus, pids } = read ?? (await share());
  engine.holdReady?.(ready);
  return await engine.limitTogether?.(store.ownerId, { memoryBytes, cpus, pids });
}
