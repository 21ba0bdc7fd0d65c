/** A kill from outside at a moment of its own choosing: of the daemon, the command, both, or the first process of a sandbox. */
import { setTimeout as sleep } from 'node:timers/promises';

import { readContainers } from './containers.ts';
import { viewHost } from './host-view.ts';
import { readStandings } from './look.ts';
import type { World } from './world.ts';

export const victims = ['daemon', 'caller', 'both', 'first process', 'everything'] as const;
export type Victim = (typeof victims)[number];

/** Resolves to what was killed. The caller is the newest command of the product. */
export async function killLater(world: World, victim: Victim, afterMs: number): Promise<string> {
  await sleep(afterMs);
  const pids = victimsOf(world, victim);
  for (const pid of pids) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It has ended by itself.
    }
  }
  return `${victim} after ${afterMs} ms: ${pids.length} killed`;
}

/** On gVisor the process that keeps its kernel, and the kernel. */
const isFirst = /sleep infinity$|\/keep\.pl |^runsc-sandbox /;

function victimsOf(world: World, victim: Victim): readonly number[] {
  const daemon = world.daemonPid() ?? [];
  const callers = world.callers();
  if (victim === 'daemon' || victim === 'caller' || victim === 'both') {
    return [...(victim === 'caller' ? [] : [daemon].flat()), ...(victim === 'daemon' ? [] : callers)];
  }
  const { state } = world.paths;
  const { processes } = viewHost(world.root, [
    ...readStandings(state).map(({ id }) => ({ id, name: id })),
    ...readContainers(state),
  ]);
  const chosen =
    victim === 'everything'
      ? processes
      : processes.filter(({ sandbox, command }) => sandbox !== undefined && isFirst.test(command));
  return chosen.map(({ pid }) => pid);
}
