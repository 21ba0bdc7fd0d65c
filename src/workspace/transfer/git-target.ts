import { basename, dirname, join } from 'node:path';

import { CasemateError } from '../../base/errors.ts';
import { visible } from '../../base/text.ts';
import { placesNamedByGit } from '../../engines/workspace/git-places.ts';
import { isGitFolder } from '../git-folder.ts';

/**
 * What git of the host would run if a transfer wrote it: hooks and programs that the settings of the repositories around the
 * target name, and parts of a repository that has no `.git`. Such a one comes out of a sandbox as three folders and a file.
 */
export type GitCheck = (path: string) => Promise<void>;

/** `top`: absolute, and where all that is written lies. Both throw `NOT_ALLOWED`. */
export async function gitCheck(top: string): Promise<GitCheck> {
  const named: string[] = [];
  for (let path = top; path !== dirname(path); path = dirname(path)) {
    // oxlint-disable-next-line no-await-in-loop -- from the target up, few
    await refusePart(path);
    named.push(...namedIn(path));
  }
  return async (path) => {
    const place = named.find((one) => path === one || path.startsWith(`${one}/`));
    if (place !== undefined) {
      throw refused(path, `the settings of git name ${visible(place)}, so git runs it by itself`);
    }
    await refusePart(path);
  };
}

async function refusePart(path: string): Promise<void> {
  const folder = dirname(path);
  if ((await isGitFolder(folder)) || (await isGitFolder(folder, basename(path)))) {
    throw refused(path, `with it ${visible(folder)} is a git repository, and git runs what its settings name`);
  }
}

function namedIn(workspace: string): readonly string[] {
  return placesNamedByGit({ workspace, top: '' }).map((place) => join(workspace, place));
}

function refused(path: string, why: string): CasemateError {
  return new CasemateError('NOT_ALLOWED', `${visible(path)}: ${why}`, { hint: 'A person can put it there.' });
}
