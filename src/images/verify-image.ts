/** Verification of an image in the store, by name. */
import type { BuildDeps } from './build-facts.ts';
import type { VerifyRow } from './image.ts';
import { imageTools } from './tools/image-tools.ts';
import type { StoredImage } from './stored/open-image.ts';
import { imageStore } from './stored/store.ts';
import { verifyRootfs } from './checks/verify.ts';

export interface ImageVerification {
  readonly image: StoredImage;
  readonly rows: readonly VerifyRow[];
}

/** Checks a stored image, file by file against its digest and as a whole against what every image promises. */
export async function verifyImage(
  name: string,
  { paths, env, uid, target, runInside, signal }: BuildDeps,
): Promise<ImageVerification> {
  const store = imageStore({ folder: paths.images, target });
  const image = await store.need(name);
  const { rows } = await verifyRootfs(image.rootfs, {
    tools: imageTools({ uid, env, signal }),
    checks: image.chain.flatMap((recipe) => recipe.checks),
    expected: { digest: image.digest, manifest: await store.manifestOf(image) },
    runInside,
    signal,
  });
  return { image, rows };
}
