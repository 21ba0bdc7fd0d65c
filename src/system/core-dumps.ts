import type { Environment } from './environment.ts';
import { baseEnvironment } from './environment.ts';
import { run } from './process.ts';

/** Keeps this process's memory out of core dumps, where the host lets us say so. */
export interface CoreDumpOptions {
  readonly env: Environment;
  readonly pid?: number;
  readonly platform?: NodeJS.Platform;
  readonly runTool?: typeof run;
}

/**
 * Resolves to whether no dump will be written of this process and those it starts. The limit is 1 and not 0: a dump
 * that goes to a program (`core_pattern` with a `|`) is kept back by exactly that one alone, and one byte is too little
 * for a file (core(5), `do_coredump` of Linux).
 */
export async function forbidCoreDumps({
  env,
  pid = process.pid,
  platform = process.platform,
  runTool = run,
}: CoreDumpOptions): Promise<boolean> {
  if (platform !== 'linux') {
    return false;
  }
  try {
    const { exitCode } = await runTool('prlimit', ['--pid', String(pid), '--core=1:1'], {
      env: baseEnvironment(env),
      timeoutMs: 5000,
    });
    return exitCode === 0;
  } catch {
    return false;
  }
}
