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
  const chosen = victimsOf(world, victim);
  for (const { pid } of chosen) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It has ended by itself.
    }
  }
  const tookFirst = chosen.some(({ isFirst }) => isFirst) ? `, ${amongThem}` : '';
  return `${victim} after ${afterMs} ms: ${chosen.length} killed${tookFirst}`;
}

/** Of a kill that took a sandbox with it, and not only who looks after it. */
export const amongThem = 'the first process of a sandbox among them';

/** On gVisor the process that keeps its kernel, and the kernel. */
const firstCommand = /sleep infinity$|\/keep\.pl |^runsc-sandbox /;

interface Chosen {
  readonly pid: number;
  readonly isFirst: boolean;
}

function victimsOf(world: World, victim: Victim): readonly Chosen[] {
  const daemon = world.daemonPid() ?? [];
  const callers = world.callers();
  if (victim === 'daemon' || victim === 'caller' || victim === 'both') {
    const pids = [...(victim === 'caller' ? [] : [daemon].flat()), ...(victim === 'daemon' ? [] : callers)];
    return pids.map((pid) => ({ pid, isFirst: false }));
  }
  const { state } = world.paths;
  const { processes } = viewHost(world.root, [
    ...readStandings(state).map(({ id }) => ({ id, name: id })),
    ...readContainers(state),
  ]);
  const all = processes.map(({ pid, sandbox, command }) => ({
    pid,
    isFirst: sandbox !== undefined && firstCommand.test(command),
  }));
  return victim === 'everything' ? all : all.filter(({ isFirst }) => isFirst);
}
