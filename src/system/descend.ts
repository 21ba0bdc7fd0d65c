import type { FileHandle } from 'node:fs/promises';

/**
 * Goes down from a folder that is held, name by name, each looked up in the folder before it: somebody else may be changing
 * names there meanwhile, and a path as a whole would follow them. `step` opens one name. What is passed is closed, `start`
 * with it, also where a step fails.
 */
export async function descend(
  start: FileHandle,
  names: readonly string[],
  step: (folder: FileHandle, name: string, index: number) => Promise<FileHandle>,
): Promise<FileHandle> {
  let held = start;
  for (const [index, name] of names.entries()) {
    const folder = held;
    try {
      // oxlint-disable-next-line no-await-in-loop -- each is looked up in the one before
      held = await step(folder, name, index);
    } finally {
      // oxlint-disable-next-line no-await-in-loop -- as above
      await folder.close();
    }
  }
  return held;
}

/** The kernel looks the name up in that very folder, wherever it is now. */
export function inFolder(folder: FileHandle, name: string): string {
  return `/proc/self/fd/${folder.fd}/${name}`;
}
