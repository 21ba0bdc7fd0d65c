import { CasemateError } from '../../base/errors.ts';
import { run } from '../../system/process.ts';
import { readProcess } from '../host-view.ts';
import { limitsOf } from './running-process.ts';

/**
 * Keeps a process from writing to any file while something is done, as on a full disk, through its file size limit (RLIMIT_FSIZE
 * in setrlimit(2)). That needs no rights and touches no one else. Processes it starts inherit the limit.
 */
export async function withoutRoom<T>(pid: number, env: Readonly<Record<string, string>>, work: () => Promise<T>): Promise<T> {
  const before = limitsOf(await readProcess(pid, 'limits'))['Max file size'] ?? 'unlimited';
  await limit(pid, env, '0');
  try {
    return await work();
  } finally {
    await limit(pid, env, before);
  }
}

/** The soft limit alone: who lowers the hard one cannot raise it again. */
async function limit(pid: number, env: Readonly<Record<string, string>>, bytes: string): Promise<void> {
  const { exitCode, stderr } = await run('prlimit', ['--pid', String(pid), `--fsize=${bytes}:`], {
    env: { ...env },
    timeoutMs: 5000,
  });
  if (exitCode !== 0) {
    throw new CasemateError('ENGINE_FAILED', `the size of files of a process cannot be limited: ${stderr.toString('utf8')}`);
  }
}
