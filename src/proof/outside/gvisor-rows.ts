import { none } from '../compare.ts';
import type { Row } from '../finding.ts';
import { readProcess } from '../host-view.ts';
import type { Target } from '../target.ts';
import { groupLimits } from './group-limits.ts';
import { hostProcesses, type HostProcess } from './gvisor-processes.ts';
import {
  groupRows,
  ownPart,
  idRows,
  namespaceControl,
  namespaceRows,
  namespacesOf,
  shownRows,
  strangersIn,
  type PlannedRun,
} from './kernel-rows.ts';
import { mountLines } from './running-process.ts';

/**
 * The counterpart of `kernelRows` for a sandbox on gVisor's kernel: the processes that this host sees are gVisor's, so their
 * namespaces, cgroups and reachable files are judged here, and what applies to programs is judged inside.
 */
export async function gvisorRows(target: Target, { first, plan, uid }: PlannedRun): Promise<readonly Row[]> {
  const [own, ids, group, strangers, seen] = await Promise.all([
    namespacesOf('self'),
    readProcess(first, 'uid_map'),
    groupLimits(first),
    strangersIn(first, 'user'),
    hostProcesses(target),
  ]);
  const ofRole = (role: HostProcess['role']): readonly number[] => seen.filter((one) => one.role === role).map(({ pid }) => pid);
  const spaces = await Promise.all(
    [...ofRole('keeper'), ...ofRole('kernel'), ...ofRole('files')].map(async (pid) => ({ pid, spaces: await namespacesOf(pid) })),
  );
  const files = mountLines((await Promise.all(ofRole('files').map((pid) => readProcess(pid, 'mountinfo')))).join('\n'));
  const kernel = mountLines((await Promise.all(ofRole('kernel').map((pid) => readProcess(pid, 'mountinfo')))).join('\n'));
  return [
    ...spaces.flatMap(({ pid, spaces: inside }) => namespaceRows(`process ${pid} `, inside, own)),
    ...idRows(ids, uid),
    ...shownRows(files, plan),
    none(
      "files of this host that gVisor's kernel sees",
      kernel.filter(({ type }) => type !== 'tmpfs' && type !== 'proc').map(({ at, type }) => `${at} (${type})`),
    ),
    ...groupRows({ ...group, strangers }, plan, tasksFor(ownPart(plan).pids)),
    namespaceControl(own),
  ];
}

/** Threads of this host: gVisor's own, and at most sixteen for each program that may run inside. */
function tasksFor(pids: number): number {
  return Math.min(8192, 512 + 16 * pids);
}
