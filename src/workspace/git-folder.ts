import { lstat } from 'node:fs/promises';
import { join } from 'node:path';

/** Names that make a folder a repository, whatever it is called (setup.c, is_git_directory). */
const makes = ['head', 'commondir', 'objects', 'refs'];

/**
 * Whether git takes a folder for a repository, so that any command of git in it runs what its settings name. `entering`: also if
 * something of this name came into it. A file system may not tell letters by their case.
 */
export async function isGitFolder(folder: string, entering?: string): Promise<boolean> {
  const name = entering?.toLowerCase();
  if (name !== undefined && !makes.includes(name)) {
    return false;
  }
  const has = async (wanted: string): Promise<boolean> =>
    name === wanted.toLowerCase() ||
    (await lstat(join(folder, wanted)).then(
      () => true,
      () => false,
    ));
  return (await has('HEAD')) && ((await has('commondir')) || ((await has('objects')) && (await has('refs'))));
}
