import { mkdir, readdir, rmdir, writeFile } from 'node:fs/promises';
import { dirname, join, posix } from 'node:path';

import { CasemateError } from '../../base/errors.ts';
import { isErrno } from '../../system/files.ts';
import { kernelText } from '../../system/kernel-text.ts';
import type { TogetherLimits, TogetherUse } from '../engine.ts';
import type { CgroupHost } from './host.ts';

/**
 * The cgroup around the cgroups of all sandboxes of one installation, with limits for all of them together: however many there
 * are and whatever each may use alone, the host keeps the rest. Root makes it, and it is read back each time.
 */

const cpuPeriodUs = 100_000;

export interface TogetherPlace {
  readonly layout: CgroupHost['layout'];
  readonly controllers: readonly string[];
  readonly root?: string | undefined;
}

/** From the root of each hierarchy. */
export function groupOfAll(owner: string): string {
  if (!/^[\w-]{1,64}$/.test(owner)) {
    throw new CasemateError('INTERNAL', 'the id of an installation is not well formed');
  }
  return `/casemate/${owner}`;
}

interface Setting {
  readonly controller: string;
  readonly file: string;
  readonly text: string;
}

/** Pure: what is written where. Without a bound for processors, the group's weight against the host's own is what holds. */
export function settingsOf({ memoryBytes, cpus, pids }: TogetherLimits, layout: CgroupHost['layout']): readonly Setting[] {
  const bytes = String(Math.floor(memoryBytes / 4096) * 4096);
  const quota = cpus === undefined ? undefined : String(Math.round(cpus * cpuPeriodUs));
  const processes = { controller: 'pids', file: 'pids.max', text: String(pids) };
  return layout === 'unified'
    ? [
        { controller: 'memory', file: 'memory.max', text: bytes },
        { controller: 'cpu', file: 'cpu.max', text: `${quota ?? 'max'} ${cpuPeriodUs}` },
        processes,
      ]
    : [
        { controller: 'memory', file: 'memory.limit_in_bytes', text: bytes },
        { controller: 'cpu', file: 'cpu.cfs_period_us', text: String(cpuPeriodUs) },
        { controller: 'cpu', file: 'cpu.cfs_quota_us', text: quota ?? '-1' },
        processes,
      ];
}

/** Throws `ENGINE_FAILED` where the kernel does not hold what was asked for. Idempotent, and cheap when it holds already. */
export async function limitTogether(owner: string, limits: TogetherLimits, place: TogetherPlace): Promise<void> {
  const { layout, controllers } = place;
  const settings = settingsOf(limits, layout).filter(({ controller }) => controllers.includes(controller));
  const fileOf = ({ controller, file }: Setting): string => join(folderOf(owner, controller, place), file);
  const isHeld = (setting: Setting): boolean => kernelText(fileOf(setting))?.trim() === setting.text;
  if (settings.every(isHeld)) {
    return;
  }
  await makeGroups(owner, place);
  for (const setting of settings) {
    try {
      // oxlint-disable-next-line no-await-in-loop -- the period before the quota
      await writeFile(fileOf(setting), setting.text);
    } catch (cause) {
      throw refused(setting, cause);
    }
    if (!isHeld(setting)) {
      throw refused(setting, undefined);
    }
  }
}

function refused({ file, text }: Setting, cause: unknown): CasemateError {
  const why = isErrno(cause, 'EBUSY') || isErrno(cause, 'EINVAL') ? ': those that run have more' : '';
  return new CasemateError('ENGINE_FAILED', `all sandboxes together cannot be limited (${file} ${text})${why}`, {
    cause,
    hint: 'Stop sandboxes, or give "share" more in the policy of the user or the organisation.',
  });
}

/** In one hierarchy each controller has to be passed on, level by level. */
async function makeGroups(owner: string, place: TogetherPlace): Promise<void> {
  const { layout, controllers, root = '/sys/fs/cgroup' } = place;
  if (layout !== 'unified') {
    await Promise.all(controllers.map((name) => mkdir(folderOf(owner, name, place), { recursive: true })));
    return;
  }
  const folder = folderOf(owner, '', place);
  await mkdir(folder, { recursive: true });
  for (const level of [root, dirname(folder), folder]) {
    // oxlint-disable-next-line no-await-in-loop -- from the top
    await writeFile(join(level, 'cgroup.subtree_control'), controllers.map((name) => `+${name}`).join(' '));
  }
}

function folderOf(owner: string, controller: string, { layout, root = '/sys/fs/cgroup' }: TogetherPlace): string {
  return layout === 'unified' ? join(root, groupOfAll(owner)) : join(root, controller, groupOfAll(owner));
}

/** What all sandboxes use at this moment; empty where there is no group. */
export function usedTogether(owner: string, place: TogetherPlace): TogetherUse {
  const { layout, controllers } = place;
  const read = (controller: string, file: string): number | undefined => {
    const text = controllers.includes(controller) ? kernelText(join(folderOf(owner, controller, place), file)) : undefined;
    return /^\d+$/.test(text?.trim() ?? '') ? Number(text) : undefined;
  };
  const isUnified = layout === 'unified';
  return {
    memoryBytes: read('memory', isUnified ? 'memory.current' : 'memory.usage_in_bytes'),
    memoryLimitBytes: read('memory', isUnified ? 'memory.max' : 'memory.limit_in_bytes'),
    pids: read('pids', 'pids.current'),
    pidsLimit: read('pids', 'pids.max'),
  };
}

/** Goes when no sandbox is in it; else it stays, with its limits, for the next daemon. */
export async function leaveTogether(owner: string, root = '/sys/fs/cgroup'): Promise<void> {
  const group = groupOfAll(owner);
  const names = await readdir(root).catch((): string[] => []);
  const folders = ['.', ...names].map((name) => posix.join(root, name, group));
  await Promise.all(folders.map((folder) => rmdir(folder).catch(() => undefined)));
}
