import { createHash } from 'node:crypto';
import { lstat, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';

import { isSecretFile, secretIn } from '../../agents/secret-patterns.ts';
import { removeTree } from '../../system/remove-tree.ts';
import { leftBehind, ownMark } from '../../system/owner-mark.ts';
import { copyWorkspace, type Copied } from '../../workspace/throw-away-copy.ts';

/** The workspace of a learning run: a copy without secrets, removed afterwards. */
export interface LearnWorkspace {
  readonly path: string;
  readonly copied: Copied;
  readonly remove: () => Promise<void>;
}

/** `home`: the state folder, which tells installations apart. Throws `PATH_INVALID` for a workspace that is too large to copy. */
export async function makeLearnWorkspace(workspace: string, home: string): Promise<LearnWorkspace> {
  const folder = await mkdtemp(join(tmpdir(), `${prefix}${homeMark(home)}-${await ownMark()}-`));
  const remove = async (): Promise<void> => {
    await removeTree(folder);
    await rm(folder, { recursive: true, force: true });
  };
  const path = join(folder, basename(workspace) || 'workspace');
  try {
    return { path, copied: await copyWorkspace(workspace, path, { refusal }), remove };
  } catch (error) {
    await remove();
    throw error;
  }
}

const prefix = 'casemate-learn-';

function homeMark(home: string): string {
  return createHash('sha256').update(home).digest('hex').slice(0, 8);
}

/**
 * Takes away the copies of runs that were killed, but for those that a sandbox may still write in: removing is safe only
 * where nobody does. The temporary folder is shared, so what is not ours alone is not touched.
 */
export async function removeLeftCopies(home: string, workspaces: readonly string[]): Promise<void> {
  const left = await leftBehind(tmpdir(), new RegExp(`^${prefix}${homeMark(home)}-(\\d+-\\d+)-\\w{6}$`));
  const unused = left.filter((folder) => !workspaces.some((path) => path.startsWith(`${folder}/`)));
  for (const folder of unused) {
    // oxlint-disable-next-line no-await-in-loop -- rarely more than one
    if (await isOursAlone(folder)) {
      // oxlint-disable-next-line no-await-in-loop -- as above
      await removeTree(folder);
    }
  }
}

async function isOursAlone(folder: string): Promise<boolean> {
  const stats = await lstat(folder);
  return stats.isDirectory() && stats.uid === process.geteuid?.() && (stats.mode & 0o077) === 0;
}

/** What looks like a secret by its name, or has a text in it that does. */
function refusal(name: string, content: string): string | undefined {
  if (isSecretFile(name) && !/^\.env\.(?:example|sample|template|dist)$/i.test(name)) {
    return 'a file of this name holds secrets by custom';
  }
  const isText = !content.slice(0, 8192).includes('\0');
  const found = isText ? secretIn(content) : undefined;
  return found === undefined ? undefined : `it holds what looks like ${found}`;
}
