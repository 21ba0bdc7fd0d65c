import { stat } from 'node:fs/promises';

/**
 * Tells whether a path now names another file, or the same file was written since: one text of device, inode, size and times.
 * Follows links.
 */
export async function stampOf(path: string): Promise<string | undefined> {
  try {
    const { dev, ino, size, mtimeNs, ctimeNs } = await stat(path, { bigint: true });
    return [dev, ino, size, mtimeNs, ctimeNs].join(':');
  } catch {
    return undefined;
  }
}
