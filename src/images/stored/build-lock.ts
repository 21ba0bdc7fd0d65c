import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';

import { CasemateError } from '../../base/errors.ts';
import { spawnProcess } from '../../system/process.ts';
import type { Progress } from '../image.ts';

/**
 * Allows one build at a time. The lock is the kernel's (`flock(2)`), held by a small program that ends when its input does:
 * however we end, the lock is released, and no process id has to be trusted.
 */
export interface BuildLockOptions {
  readonly env: Readonly<Record<string, string>>;
  readonly progress: Progress;
  readonly signal?: AbortSignal | undefined;
}

const noticeAfterMs = 300;

/** Waits until no other build runs below `folder`; resolves to the function that frees it. */
export async function lockBuilds(folder: string, { env, progress, signal }: BuildLockOptions): Promise<() => Promise<void>> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const args = ['--pdeathsig', 'KILL', '--', 'flock', '--exclusive', '--no-fork', join(folder, '.lock'), 'cat'];
  const holder = spawnProcess('setpriv', args, { env: { ...env }, stdio: ['pipe', 'pipe', 'ignore'] });
  holder.stdin?.on('error', () => undefined);
  const closed = once(holder, 'close');
  const failed = once(holder, 'error').then(([cause]) =>
    Promise.reject(new CasemateError('TOOL_MISSING', 'cannot start setpriv', { cause })),
  );
  const ended = closed.then(() => Promise.reject(new CasemateError('IMAGE_BUILD_FAILED', `cannot lock ${folder}`)));
  failed.catch(() => undefined);
  ended.catch(() => undefined);
  const abort = (): void => void holder.kill('SIGKILL');
  signal?.addEventListener('abort', abort, { once: true });
  const notice = setTimeout(() => progress('waiting for another build to end'), noticeAfterMs);
  try {
    holder.stdin?.write('\n');
    await Promise.race([once(holder.stdout ?? holder, 'data'), failed, ended]);
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  } finally {
    clearTimeout(notice);
    signal?.removeEventListener('abort', abort);
  }
  return async () => {
    holder.stdin?.end();
    await closed;
  };
}
