import { stat } from 'node:fs/promises';

/** Tells whether a file is another one or was written since: device, inode, size and times in one text. Follows links. */
export async function stampOf(path: string): Promise<string | undefined> {
  try {
    const { dev, ino, size, mtimeNs, ctimeNs } = await stat(path, { bigint: true });
    return [dev, ino, size, mtimeNs, ctimeNs].join(':');
  } catch {
    return undefined;
  }
}
