import { readdir, readFile } from 'node:fs/promises';

import { identifyProcess, isSameProcess } from '../../system/process-identity.ts';
import { killProcess } from '../processes.ts';

/**
 * Ends leftover monitors. Podman's service keeps the monitor of each command (conmon(8)) for five minutes after the command, so
 * that its exit code can be requested (`exit_command_delay` in containers.conf(5)), even if the container is gone and no one can
 * ask. Monitors are found by the ids and names of removed containers. The monitor of a container itself ends with it.
 */
export async function endMonitors(containers: readonly string[]): Promise<void> {
  const gone = new Set(containers);
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number);
  await Promise.all(
    pids.map(async (pid) => {
      const identity = await identifyProcess(pid);
      const isMonitor = monitorsCommandOf(await wordsOf(pid), gone);
      if (isMonitor && identity !== undefined && (await isSameProcess(identity))) {
        killProcess(pid);
      }
    }),
  );
}

/** `words`: how a process was started. Pure. */
export function monitorsCommandOf([program = '', ...args]: readonly string[], containers: ReadonlySet<string>): boolean {
  const isOurs = ['-c', '-n'].some((word) => args.includes(word) && containers.has(args[args.indexOf(word) + 1] ?? ''));
  return /(?:^|\/)conmon$/.test(program) && args.includes('--exec-process-spec') && isOurs;
}

async function wordsOf(pid: number): Promise<readonly string[]> {
  return (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).split('\0');
}
