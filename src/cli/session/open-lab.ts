import { existsSync, realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';

import { engineVariables } from '../../engines/engine-choice.ts';
import { startLab } from '../../proof/lab/start-lab.ts';
import type { Lab } from '../../proof/lab/lab.ts';
import type { Plan } from '../../sandbox/plan/plan.ts';
import { baseEnvironment } from '../../system/environment.ts';
import type { CommandContext } from '../command.ts';
import { daemonFlags } from './start-daemon.ts';

/** A lab that runs this very program. */
export async function openLab({ env, paths }: CommandContext, plan: Plan): Promise<Lab> {
  const { HOME: _home, ...host } = baseEnvironment(env);
  const entry = realpathSync(process.argv[1] ?? '');
  const launcher = join(dirname(entry), 'casemate');
  return await startLab({
    plan,
    program: [process.execPath, ...process.execArgv, entry],
    launcher: existsSync(launcher) ? launcher : undefined,
    daemonFlags,
    env: { ...host, ...ownEngine(env) },
    images: paths.images,
  });
}

/** Where the engine of the sandbox that is proved is found; the settings of Docker's client lie in a home folder, which a lab has not. */
export function ownEngine(env: CommandContext['env']): Readonly<Record<string, string>> {
  const home = env.get('HOME');
  const settings = env.get('DOCKER_CONFIG') ?? (home === undefined ? undefined : join(home, '.docker'));
  const named = [...engineVariables, 'SSH_AUTH_SOCK'].map((name) => [name, env.get(name)] as const);
  const values = [...named, ['DOCKER_CONFIG', settings] as const];
  return Object.fromEntries(values.flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])));
}
