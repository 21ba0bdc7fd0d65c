/** Changes the owner of whole trees. */
import { lchown, lstat, readdir } from 'node:fs/promises';

export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/**
 * Gives all that user `from` has at and below a path to another, past no symbolic link. Nobody may be writing there. The top
 * goes last: where that has another owner, all was given before, and what has been written there since is not looked at.
 */
export async function giveTree(path: string, to: Owner, from: number): Promise<void> {
  if (from !== to.uid && (await lstat(path)).uid === from) {
    await give(Buffer.from(path), to, from);
  }
}

/** Names are bytes. */
async function give(path: Buffer, to: Owner, from: number): Promise<void> {
  const there = await lstat(path);
  if (there.isDirectory()) {
    const names = await readdir(path, { encoding: 'buffer' });
    await Promise.all(names.map(async (name) => give(Buffer.concat([path, Buffer.from('/'), name]), to, from)));
  }
  if (there.uid === from) {
    await lchown(path, to.uid, to.gid);
  }
}
