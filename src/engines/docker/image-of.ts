import { CasemateError } from '../../base/errors.ts';
import type { Abortable, SandboxSpec } from '../engine.ts';
import type { DockerContext } from './context.ts';
import { importedImage } from './import-image.ts';

/** The ids of our images in the engine. */

/** An import takes long, and is done once for all who wait for it. */
export async function imageOf(
  context: DockerContext,
  { rootfs }: Pick<SandboxSpec, 'rootfs'>,
  { signal }: Abortable,
): Promise<string> {
  const { client, options, exclusive } = context;
  const { id: engineId } = await context.facts();
  const { folders, env, uid } = options;
  return exclusive(`image ${rootfs}`, () =>
    importedImage(rootfs, { client, engineId, folder: folders.images, env, isOwner: uid === 0, signal }),
  );
}

/** One that any sandbox of ours has, with what that sandbox is: for what serves all of them. */
export async function importedImageOf(context: DockerContext): Promise<{ readonly spec: SandboxSpec; readonly image: string }> {
  let why: unknown;
  for (const { spec } of await context.records.all()) {
    try {
      // oxlint-disable-next-line no-await-in-loop -- the first one does, unless it was removed
      return { spec, image: await imageOf(context, spec, {}) };
    } catch (error) {
      why = error;
    }
  }
  throw new CasemateError('ENGINE_FAILED', 'no sandbox has an image that the engine could start', { cause: why });
}
