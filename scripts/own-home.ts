import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { processEnvironment } from '../src/system/environment.ts';
import { pathsFrom } from '../src/system/paths.ts';
import { run, type RunResult } from '../src/system/process.ts';

/** A home of its own for one program of ours, with the images of this machine and the engines that its environment names. */
export interface OwnHome {
  readonly call: (args: readonly string[]) => Promise<RunResult>;
}

/** Ends the daemon and removes the home, whatever became of the work. */
export async function inOwnHome<T>(program: string, timeoutMs: number, work: (home: OwnHome) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'casemate-own-home-'));
  const env = {
    PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    LANG: 'C.UTF-8',
    HOME: join(folder, 'user'),
    CASEMATE_HOME: join(folder, 'casemate'),
    CASEMATE_IMAGES: pathsFrom(processEnvironment, process.geteuid?.() ?? 0).images,
    ...enginesNamed(),
  };
  const cwd = join(folder, 'project');
  const call: OwnHome['call'] = async (args) => await run(process.execPath, [program, ...args], { env, cwd, timeoutMs });
  try {
    await Promise.all([mkdir(cwd), mkdir(env.HOME), mkdir(env.CASEMATE_HOME, { mode: 0o700 })]);
    return await work({ call });
  } finally {
    await call(['daemon', 'stop', '--force']).catch(() => undefined);
    await rm(folder, { recursive: true, force: true });
  }
}

function enginesNamed(): Record<string, string> {
  const named = ['DOCKER_HOST', 'CONTAINER_HOST'].map((name) => [name, processEnvironment.get(name)] as const);
  return Object.fromEntries(named.flatMap(([name, host]) => (host === undefined ? [] : [[name, host]])));
}
