import { realpathSync } from 'node:fs';

import { startLab } from '../../proof/lab/start-lab.ts';
import type { Lab } from '../../proof/lab/lab.ts';
import type { Plan } from '../../sandbox/plan.ts';
import { baseEnvironment } from '../../system/environment.ts';
import type { CommandContext } from '../command.ts';
import { daemonFlags } from './start-daemon.ts';

/** A lab that runs this very program. */
export async function openLab({ env, paths }: CommandContext, plan: Plan): Promise<Lab> {
  const { HOME: _home, ...host } = baseEnvironment(env);
  return await startLab({
    plan,
    program: [process.execPath, ...process.execArgv, realpathSync(process.argv[1] ?? '')],
    daemonFlags,
    env: { ...host, ...ownEngine(env) },
    images: paths.images,
  });
}

/** Where the engine of the sandbox that is proved is found. */
function ownEngine(env: CommandContext['env']): Readonly<Record<string, string>> {
  return Object.fromEntries(
    ['DOCKER_HOST', 'CONTAINER_HOST'].flatMap((name) => {
      const host = env.get(name);
      return host === undefined ? [] : [[name, host]];
    }),
  );
}
