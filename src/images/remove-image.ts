import type { BuildDeps } from './build-facts.ts';
import { lockBuilds } from './stored/build-lock.ts';
import type { ImageRecord } from './image.ts';
import { imageTools } from './tools/image-tools.ts';
import type { DamagedImage, StoredImage } from './stored/open-image.ts';
import { imageStore, isDigestOf, type LocalImageStore } from './stored/store.ts';

/**
 * Removes an image from disk; its lock stays, so that the same image can be built again. Waits for a build that may be
 * reading it. Throws what `need` throws, and `SANDBOX_WRONG_STATE` when `inUse` names sandboxes made from it.
 */
export async function removeImage(
  name: string,
  { paths, env, uid, target, progress, signal }: BuildDeps,
  inUse: (image: Pick<ImageRecord, 'digest'>) => Promise<readonly string[]>,
): Promise<StoredImage | DamagedImage> {
  const tools = imageTools({ uid, env, signal });
  const store = imageStore({ folder: paths.images, target });
  await removable(store, name);
  const unlock = await lockBuilds(paths.images, { env: tools.env, progress, signal });
  try {
    const image = await removable(store, name);
    await store.remove(image, { tools, inUse });
    return image;
  } finally {
    await unlock();
  }
}

/** Also one that must not be used any more, by its digest. */
export async function removable(store: LocalImageStore, name: string): Promise<StoredImage | DamagedImage> {
  const damaged = (await store.damaged()).find((image) => isDigestOf(name, image.digest));
  return damaged ?? (await store.need(name));
}
