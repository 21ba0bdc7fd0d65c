import { CasemateError } from '../../base/errors.ts';
import { visible } from '../../base/text.ts';
import { dataFile } from '../../system/data-file.ts';
import { run } from '../../system/process.ts';
import type { SandboxSpec } from '../engine.ts';
import type { EngineLimits } from '../engine-limits.ts';
import { maximumTerminals, sharedMemoryBytes, sizeOptions } from '../kernel/limits.ts';
import { line } from '../oci/stage-plan.ts';
import type { DockerContext } from './context.ts';
import { kernelOf } from './kernel/kernel-of.ts';
import type { EngineKernel } from './kernel/engine-kernel.ts';

/**
 * Limits what the kernel keeps in one pool for everyone and the engine does not bound: terminals, names in shared memory, and
 * socket memory where it is counted separately. Set from outside, before anything but our sleeping process runs, and read back.
 * `pid`: the first process.
 */
export async function limitPools(
  context: DockerContext,
  pid: number,
  { limits, hostname }: Pick<SandboxSpec, 'limits' | 'hostname'>,
): Promise<void> {
  const { machine, options, facts } = context;
  const kernel = await kernelOf(context);
  const { userNamespace, limits: bounds } = await facts();
  // Who may use terminals stays as the engine has it; an id that is another one inside cannot be said again.
  const owners = (await superOptionsOf(kernel, pid, '/dev/pts')).filter((option) =>
    (userNamespace ? /^(?:mode|ptmxmode)=/ : /^(?:gid|uid|mode|ptmxmode)=/).test(option),
  );
  const plan = [
    // The keeper may have been made before anybody knew for whom, and the container has its name.
    line('name', pid, hostname),
    line('inside', pid),
    line('limit', '/dev/pts', [...owners, `max=${maximumTerminals}`].join(','), ''),
    line('limit', '/dev/shm', ['mode=1777', ...sizeOptions(sharedMemoryBytes(limits))].join(','), 'all'),
    '',
  ].join('\n');
  const [why] = await Promise.all([kernel.stage(plan), userNamespace ? limitWatching({ machine, options }, pid) : undefined]);
  // Without a group of its own it is in one of somebody else's.
  await (bounds.memory ? limitSocketsApart(kernel, pid, limits) : undefined);
  const [terminals, shared] = await Promise.all(['/dev/pts', '/dev/shm'].map((place) => superOptionsOf(kernel, pid, place)));
  const open = [
    ...(terminals?.includes(`max=${maximumTerminals}`) === true ? [] : ['/dev/pts']),
    ...(shared?.some((option) => option.startsWith('nr_inodes=')) === true ? [] : ['/dev/shm']),
  ];
  if (why !== '' || open.length > 0) {
    throw new CasemateError('ENGINE_FAILED', `cannot limit what the sandbox takes of ${open.join(' and ')}: ${why}`);
  }
}

/** Watches of files are counted by user namespace, where there is one: as with `oci`, a quarter of what whoever starts it has. */
async function limitWatching({ machine, options }: Pick<DockerContext, 'machine' | 'options'>, pid: number): Promise<void> {
  const args = [dataFile('engines/oci/listen.pl'), machine, options.uid === 0 ? 'root' : 'user'];
  const { exitCode, stderr } = await run('perl', args, { env: options.env, input: `${pid}\n`, timeoutMs: 30_000 });
  if (exitCode !== 0) {
    const said = visible(stderr.toString('utf8').trim()).slice(0, 300);
    throw new CasemateError('ENGINE_FAILED', `cannot limit how much the sandbox watches (inotify): ${said}`);
  }
}

/** The last field of a line of `mountinfo` (proc(5)): options of the file system itself. */
async function superOptionsOf(kernel: EngineKernel, pid: number, place: string): Promise<readonly string[]> {
  const rows = (await kernel.read(pid, 'mountinfo')).split('\n').map((row) => row.split(' '));
  return (
    rows
      .findLast((fields) => fields[4] === place)
      ?.at(-1)
      ?.split(',') ?? []
  );
}

/** With cgroup v1 the engine limits memory, and not that of sockets. */
async function limitSocketsApart(kernel: EngineKernel, pid: number, { memoryBytes }: EngineLimits): Promise<void> {
  const group = /^\d+:memory:(\/.+)$/m.exec(await kernel.read(pid, 'cgroup'))?.[1];
  if (group !== undefined) {
    await kernel.limitSockets(group, memoryBytes);
  }
}
