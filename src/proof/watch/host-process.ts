import { randomBytes } from 'node:crypto';

import type { Identity } from '../foreign/run-foreign.ts';
import { spawnProcess } from '../../system/process.ts';

/**
 * A process of this host with a name of its own and a canary in its environment. It reads a pipe of the proof's, and ends with
 * it.
 */
export interface HostProcess {
  readonly pid: number;
  /** two halves; only together are they in its command line */
  readonly name: readonly [string, string];
  readonly end: () => void;
}

export function startHostProcess(canary: string, as?: Identity): HostProcess {
  const name = [randomBytes(8).toString('hex'), randomBytes(8).toString('hex')] as const;
  const program = 'process.stdin.resume().once("end", () => process.exit()); setTimeout(() => process.exit(), 14_400_000);';
  const child = spawnProcess(process.execPath, ['-e', program], {
    argv0: `host-process-${name.join('')}`,
    cwd: '/',
    env: { DATABASE_PASSWORD: canary },
    stdio: ['pipe', 'ignore', 'ignore'],
    ...as,
  });
  child.once('error', () => undefined);
  child.stdin?.on('error', () => undefined);
  return { pid: child.pid ?? 0, name, end: () => void child.kill('SIGKILL') };
}
