import { chown, mkdir, stat } from 'node:fs/promises';
import { join } from 'node:path';

import { isErrno } from '../system/files.ts';

/** A new home belongs to the owner of the folder around it, so that files in it keep that owner. */
export async function makeHome(home: string): Promise<void> {
  try {
    await mkdir(home, { mode: 0o700 });
  } catch (error) {
    if (isErrno(error, 'EEXIST')) {
      return;
    }
    throw error;
  }
  const { uid, gid } = await stat(join(home, '..'));
  await chown(home, uid, gid);
}
