import type { ImageTools } from './image-tools.ts';

/** With what belongs to ids of an image, which this process itself may not remove; what is mounted below stays. */
export async function removeTrees({ run }: ImageTools, paths: readonly string[]): Promise<void> {
  await run('rm', ['-rf', '--one-file-system', '--', ...paths]);
}
