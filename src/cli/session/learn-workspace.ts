import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';

import { isSecretFile, secretIn } from '../../agents/secret-patterns.ts';
import { removeTree } from '../../sandbox/remove-tree.ts';
import { copyWorkspace, type Copied } from '../../workspace/throw-away-copy.ts';

/** The workspace of a run that is learned from: a copy without secrets, gone afterwards. */
export interface LearnWorkspace {
  readonly path: string;
  readonly copied: Copied;
  readonly remove: () => Promise<void>;
}

/** Throws `PATH_INVALID` for a workspace that is too large to copy. */
export async function makeLearnWorkspace(workspace: string): Promise<LearnWorkspace> {
  const folder = await mkdtemp(join(tmpdir(), 'casemate-learn-'));
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

/** What looks like a secret by its name, or has a text in it that does. */
function refusal(name: string, content: string): string | undefined {
  if (isSecretFile(name) && !/^\.env\.(?:example|sample|template|dist)$/i.test(name)) {
    return 'a file of this name holds secrets by custom';
  }
  const isText = !content.slice(0, 8192).includes('\0');
  const found = isText ? secretIn(content) : undefined;
  return found === undefined ? undefined : `it holds what looks like ${found}`;
}
