import { join, relative } from 'node:path';

import { CasemateError } from '../../base/errors.ts';
import { visible } from '../../base/text.ts';
import { mountsOf, type Mounted } from '../workspace/protections.ts';
import type { BindMount } from './container-bodies.ts';

/**
 * Checks that the engine mounted the intended folders. It finds them by path and follows symbolic links, so whoever changes one
 * in between chooses a folder of the host (as in CVE-2018-15664). What the kernel says was mounted cannot be faked, and is
 * compared with what that path is without any link. For an engine on this kernel; for others see `kernel/shared-files.ts`.
 */
export async function requireSamePlaces(inside: readonly Mounted[], mounts: readonly BindMount[]): Promise<void> {
  const host = await mountsOf(process.pid);
  const other = otherPlaces(mounts, { inside, host });
  if (other.length > 0) {
    throw new CasemateError(
      'ENGINE_FAILED',
      `the container shows something else at ${other.slice(0, 5).map(visible).join(', ')}`,
    );
  }
}

/** Pure: targets where not exactly the source is mounted. */
export function otherPlaces(
  mounts: readonly BindMount[],
  { inside, host }: { readonly inside: readonly Mounted[]; readonly host: readonly Mounted[] },
): readonly string[] {
  return mounts.flatMap(({ Source, Target }) => {
    const [asked, there] = [placeOf(Source, host), inside.findLast(({ place }) => place === Target)];
    return asked !== undefined && there?.device === asked.device && there.root === asked.root ? [] : [Target];
  });
}

/** Device and path within its file system, by the mount that shows the path; of several at one place the last one does. */
function placeOf(path: string, host: readonly Mounted[]): Pick<Mounted, 'device' | 'root'> | undefined {
  const around = host.filter(({ place }) => place === '/' || path === place || path.startsWith(`${place}/`));
  const mount = around.toSorted((a, b) => a.place.length - b.place.length).at(-1);
  return mount && { device: mount.device, root: join(mount.root, relative(mount.place, path)) };
}
