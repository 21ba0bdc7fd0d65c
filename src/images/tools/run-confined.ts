import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { CasemateError } from '../../base/errors.ts';
import { run, spawnProcess, type RunResult } from '../../system/process.ts';
import { agentUser } from '../image.ts';
import { toolFailure, type ImageTools } from './image-tools.ts';

/**
 * Runs programs of an image on the host for its checks: without a network, in namespaces of their own, with a read-only image,
 * as an unprivileged user. Only host programs run before that, so nothing of the image runs as root.
 */
export type RunInside = (
  rootfs: string,
  commands: readonly (readonly string[])[],
  options: InsideOptions,
) => Promise<readonly RunResult[]>;

export interface InsideOptions {
  readonly tools: ImageTools;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

/** The ids programs run with; any that owns nothing on the host and nothing of the image. */
const visitor = '+64321:+64321';
const devices = ['null', 'zero', 'full', 'random', 'urandom'];

export const runConfined: RunInside = async (rootfs, commands, { tools, timeoutMs, signal }) => {
  const [first, ...prefix] = tools.prefix({ isolated: true });
  // The holder keeps the namespaces while we prepare them; it ends when its input does, that is with us at the latest.
  const holder = spawnProcess(first, [...prefix, 'cat'], { env: tools.env, stdio: ['pipe', 'pipe', 'pipe'] });
  try {
    holder.stdin?.on('error', () => undefined);
    const failed = once(holder, 'error').then(([error]) =>
      Promise.reject(new CasemateError('TOOL_MISSING', `cannot start ${first}`, { cause: error })),
    );
    const stderr: Buffer[] = [];
    holder.stderr?.on('data', (piece: Buffer) => stderr.push(piece));
    const closed = once(holder, 'close').then(() =>
      Promise.reject(toolFailure('unshare', Buffer.concat(stderr).toString('utf8'))),
    );
    failed.catch(() => undefined);
    closed.catch(() => undefined);
    holder.stdin?.write('\n');
    await Promise.race([once(holder.stdout ?? holder, 'data'), failed, closed]);
    const pid = await childOf(holder.pid ?? 0);
    const inside = [
      '--target',
      String(pid),
      ...(tools.mode === 'user' ? ['--user', '--preserve-credentials'] : []),
      '--mount',
      '--net',
      '--pid',
      '--ipc',
      '--uts',
      '--',
    ];
    await prepareMounts(rootfs, (file, args) => need(['nsenter', ...inside, file, ...args], { tools, timeoutMs, signal }));
    const results: RunResult[] = [];
    for (const command of commands) {
      const ended = killedAfter(holder, { timeoutMs, signal });
      // oxlint-disable-next-line no-await-in-loop -- one at a time
      results.push(await run('nsenter', [...inside, ...unprivileged(rootfs, command)], { env: insideEnv }));
      ended(command[0] ?? '');
    }
    return results;
  } finally {
    holder.stdin?.end();
    holder.kill('SIGKILL');
  }
};

/**
 * Ends the namespaces, and with them all that runs there, when the time is over: `nsenter` alone would leave its child
 * behind. The function it returns stops the clock and throws `TIMED_OUT` if it had run out, or the abort reason.
 */
function killedAfter(
  holder: ChildProcess,
  { timeoutMs, signal }: { timeoutMs: number; signal: AbortSignal | undefined },
): (program: string) => void {
  let expired = false;
  const kill = (): void => void holder.kill('SIGKILL');
  const timer = setTimeout(() => {
    expired = true;
    kill();
  }, timeoutMs);
  signal?.addEventListener('abort', kill, { once: true });
  return (program) => {
    clearTimeout(timer);
    signal?.removeEventListener('abort', kill);
    signal?.throwIfAborted();
    if (expired) {
      throw new CasemateError('TIMED_OUT', `${program} did not end within ${timeoutMs} ms`);
    }
  };
}

const insideEnv = {
  PATH: '/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin',
  HOME: '/tmp',
  LANG: 'C.UTF-8',
  USER: agentUser.name,
};

/**
 * `chroot` takes numbers with a plus sign only: by name it would look them up with libraries of the image, as root
 * (the class of CVE-2019-14271).
 */
function unprivileged(rootfs: string, command: readonly string[]): readonly string[] {
  const capabilities = '--bounding-set=-all,+sys_chroot,+setuid,+setgid';
  return [
    'setpriv',
    '--no-new-privs',
    capabilities,
    '--',
    'chroot',
    `--userspec=${visitor}`,
    '--groups=',
    rootfs,
    '/usr/bin/env',
    '--',
    ...command,
  ];
}

async function prepareMounts(rootfs: string, inside: (file: string, args: readonly string[]) => Promise<void>): Promise<void> {
  await inside('mount', ['--bind', rootfs, rootfs]);
  await inside('mount', ['-o', 'remount,bind,ro,nosuid,nodev', rootfs]);
  await inside('mount', ['-t', 'proc', '-o', 'nosuid,nodev,noexec', 'proc', join(rootfs, 'proc')]);
  await inside('mount', ['-t', 'tmpfs', '-o', 'nosuid,nodev,mode=1777,size=64m', 'tmpfs', join(rootfs, 'tmp')]);
  await inside('mount', ['-t', 'tmpfs', '-o', 'nosuid,noexec,mode=755,size=1m', 'tmpfs', join(rootfs, 'dev')]);
  await inside(
    'touch',
    devices.map((name) => join(rootfs, 'dev', name)),
  );
  for (const name of devices) {
    // oxlint-disable-next-line no-await-in-loop -- in order
    await inside('mount', ['--bind', `/dev/${name}`, join(rootfs, 'dev', name)]);
  }
}

async function need([file, ...args]: readonly [string, ...string[]], { tools, timeoutMs, signal }: InsideOptions): Promise<void> {
  const result = await run(file, args, { env: tools.env, timeoutMs, signal });
  if (result.exitCode !== 0) {
    throw toolFailure(args.at(args.indexOf('--') + 1) ?? file, result.stderr.toString('utf8'));
  }
}

/** `unshare --fork` stays outside of the new process namespace; its one child is the first process within. */
async function childOf(pid: number): Promise<number> {
  const children = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => '');
  const child = Number(children.trim().split(' ')[0]);
  if (!Number.isSafeInteger(child) || child <= 0) {
    throw new CasemateError('IMAGE_BUILD_FAILED', 'the namespaces for the checks of the image are gone');
  }
  return child;
}
