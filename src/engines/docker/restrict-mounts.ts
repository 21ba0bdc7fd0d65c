import { CasemateError } from '../../base/errors.ts';
import { visible } from '../../base/text.ts';
import { dataFile } from '../../system/data-file.ts';
import { run } from '../../system/process.ts';
import { line } from '../oci/stage-plan.ts';
import { mountsOf } from '../workspace/protections.ts';
import type { BindMount } from './container-bodies.ts';
import type { DockerContext } from './context.ts';

/**
 * The engine has no word for `nosuid` and `nodev` on folders of the host and on the image. They are set from outside, before
 * anything but our sleeping process runs, and read back. Not on `/dev`: the engine makes the devices of a container there.
 */
export async function restrictMounts(
  { machine, options }: DockerContext,
  pid: number,
  mounts: readonly BindMount[],
): Promise<void> {
  // The last three are the engine's own.
  const places = [...new Set(['/', ...mounts.map(({ Target }) => Target), '/etc/hostname', '/etc/hosts', '/etc/resolv.conf'])];
  const plan = [line('inside', pid), ...places.map((place) => line('restrict', place)), ''].join('\n');
  const args = [dataFile('engines/oci/stage.pl'), machine, String(process.pid)];
  const { exitCode, stderr } = await run('perl', args, { env: options.env, input: plan, timeoutMs: 30_000 });
  if (exitCode !== 0) {
    throw new CasemateError(
      'ENGINE_FAILED',
      `cannot restrict the mounts of the sandbox: ${visible(stderr.toString('utf8').trim()).slice(0, 300)}`,
    );
  }
  const there = await mountsOf(pid);
  const open = places.filter((place) => {
    const found = there.findLast((mount) => mount.place === place)?.options ?? [];
    return !found.includes('nosuid') || !found.includes('nodev');
  });
  if (open.length > 0) {
    throw new CasemateError('ENGINE_FAILED', `mounts of the sandbox stayed open: ${open.slice(0, 5).map(visible).join(', ')}`);
  }
}
