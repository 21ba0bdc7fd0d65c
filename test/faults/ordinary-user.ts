/** An ordinary user of this machine, as whom the product runs while the harness looks as root. */
import { lstatSync, readFileSync } from 'node:fs';
import { lchown, readdir } from 'node:fs/promises';
import { join } from 'node:path';

import type { Owner } from './commands.ts';

export interface OrdinaryUser extends Owner {
  /** its own images */
  readonly images: string;
}

/** Throws where there is none of this name. */
export function ordinaryUser(name: string): OrdinaryUser {
  const rows = readFileSync('/etc/passwd', 'utf8').split('\n');
  const [, , uid, gid, , home = ''] = rows.find((row) => row.startsWith(`${name}:`))?.split(':') ?? [];
  if (uid === undefined) {
    throw new Error(`there is no user ${name}`);
  }
  return { uid: Number(uid), gid: Number(gid), images: join(home, '.local/share/casemate/images') };
}

/** All that lies at these paths becomes the user's. */
export async function ownAll(paths: readonly string[], user: Owner | undefined): Promise<void> {
  if (user !== undefined) {
    await Promise.all(paths.map((path) => own(path, user)));
  }
}

async function own(path: string, user: Owner): Promise<void> {
  const stats = lstatSync(path, { throwIfNoEntry: false });
  if (stats === undefined) {
    return;
  }
  try {
    await lchown(path, user.uid, user.gid);
    const names = stats.isDirectory() ? await readdir(path) : [];
    await Promise.all(names.map((name) => own(join(path, name), user)));
  } catch (error) {
    // A daemon that runs here replaces its files.
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) {
      throw error;
    }
  }
}
