/** Changes the owner of whole trees. */
import { lchown, lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';

export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/** Gives all that user `from` has at and below a path to another, past no symbolic link. Nobody may be writing there. */
export async function giveTree(path: string, to: Owner, from: number): Promise<void> {
  const there = await lstat(path);
  if (there.uid === from && from !== to.uid) {
    await lchown(path, to.uid, to.gid);
  }
  if (there.isDirectory()) {
    const names = await readdir(path);
    await Promise.all(names.map((name) => giveTree(join(path, name), to, from)));
  }
}
