import { lstat, mkdtemp, readdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { asObject, parseJson } from '../../base/json.ts';
import { removeTree } from '../../system/remove-tree.ts';
import { readTextIfPresent } from '../../system/files.ts';
import { identifyProcess, isSameProcess, type ProcessIdentity } from '../../system/process-identity.ts';

/**
 * Temporary folders of proofs. Each says which processes use it, so that the next proof removes what a killed one left behind,
 * and nothing else.
 */

const prefix = 'casemate-proof-';
const label = 'used-by.json';

/** A new private folder, used by this process. */
export async function proofFolder(parent = tmpdir()): Promise<string> {
  const folder = await mkdtemp(join(parent, prefix));
  await markUsed(folder, process.pid);
  return folder;
}

/** The folder is somebody's as long as one of the processes named for it lives. */
export async function markUsed(folder: string, ...pids: readonly number[]): Promise<void> {
  const identities = await Promise.all([process.pid, ...pids].map(identifyProcess));
  await writeFile(join(folder, label), JSON.stringify({ processes: identities.filter((one) => one !== undefined) }), {
    mode: 0o600,
  });
}

/** Removes the folders of proofs of this user whose processes are all gone; answers their paths. */
export async function sweepLeftovers(uid: number): Promise<readonly string[]> {
  const names = (await readdir(tmpdir())).filter((name) => name.startsWith(prefix));
  const swept: string[] = [];
  for (const folder of names.map((name) => join(tmpdir(), name))) {
    // oxlint-disable-next-line no-await-in-loop -- few, and one after the other
    if (await isLeftOver(folder, uid)) {
      // oxlint-disable-next-line no-await-in-loop -- as above
      await removeTree(folder);
      swept.push(folder);
    }
  }
  return swept;
}

async function isLeftOver(folder: string, uid: number): Promise<boolean> {
  const stats = await lstat(folder).catch(() => undefined);
  if (stats === undefined || !stats.isDirectory() || stats.uid !== uid || (stats.mode & 0o077) !== 0) {
    return false;
  }
  const users = usersOf(parseJson((await readTextIfPresent(join(folder, label)).catch(() => undefined)) ?? ''));
  const alive = await Promise.all(users.map(isSameProcess));
  return users.length > 0 && !alive.includes(true);
}

/** Without a label it is not known whose it is: it is left alone. */
function usersOf(value: unknown): readonly ProcessIdentity[] {
  const { processes } = asObject(value);
  return (Array.isArray(processes) ? processes : []).flatMap((one: unknown) => {
    const { pid, startTicks } = asObject(one);
    return typeof pid === 'number' && typeof startTicks === 'string' ? [{ pid, startTicks }] : [];
  });
}
