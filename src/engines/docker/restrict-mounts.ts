import { CasemateError } from '../../base/errors.ts';
import { visible } from '../../base/text.ts';
import { line } from '../oci/stage-plan.ts';
import { parseMounts, type Mounted } from '../workspace/protections.ts';
import type { EngineKernel } from './kernel/engine-kernel.ts';
import { fieldsOf, textOf } from './read-json.ts';

/**
 * Sets mount options that the engine cannot: `nosuid` and `nodev` on folders of the host and on the image, and for Podman the
 * number of files in a tmpfs. They are set from outside, before anything but our sleeping process runs, and read back. Not below
 * `/dev`, where the engine creates a container's devices.
 */
export async function restrictMounts(
  kernel: EngineKernel,
  pid: number,
  memory: Readonly<Record<string, unknown>>,
): Promise<void> {
  const places = restricted(await kernel.read(pid, 'mountinfo')).map(({ place }) => place);
  const bounds = Object.entries(fieldsOf(memory)).flatMap(([place, mount]) => {
    const files = /(?:^|,)nr_inodes=(\d+)/.exec(textOf(mount))?.[1];
    return files === undefined ? [] : [{ place, files }];
  });
  const plan = [
    line('inside', pid),
    ...new Set(places.map((place) => line('restrict', place))),
    ...bounds.map(({ place, files }) => line('bound', place, files)),
    '',
  ].join('\n');
  const why = await kernel.stage(plan);
  if (why !== '') {
    throw new CasemateError('ENGINE_FAILED', `cannot restrict the mounts of the sandbox: ${why}`);
  }
  const text = await kernel.read(pid, 'mountinfo');
  const open = restricted(text)
    .filter(({ options: given }) => !given.includes('nosuid') || !given.includes('nodev'))
    .map(({ place }) => place);
  const unbounded = bounds.filter(({ place, files }) => !isBounded(text, place, files)).map(({ place }) => place);
  if (open.length + unbounded.length > 0) {
    throw new CasemateError(
      'ENGINE_FAILED',
      `mounts of the sandbox stayed open: ${[...open, ...unbounded].slice(0, 5).map(visible).join(', ')}`,
    );
  }
}

/** Of several mounts at one place the last one is seen. */
function restricted(text: string): readonly Mounted[] {
  const seen = new Map(parseMounts(text).map((mount) => [mount.place, mount]));
  return [...seen.values()].filter(({ place }) => !/^\/(?:proc|sys|dev)(?:\/|$)/.test(place));
}

/** The options of the file system itself stand last in its line (proc(5)). */
function isBounded(text: string, place: string, files: string): boolean {
  const row = text.split('\n').findLast((one) => one.split(' ')[4] === place) ?? '';
  return (row.split(' - ')[1]?.split(' ')[2] ?? '').split(',').includes(`nr_inodes=${files}`);
}
