import { realpath, stat } from 'node:fs/promises';

import { CasemateError } from '../base/errors.ts';
import { visible } from '../base/text.ts';

/** The real path of a folder in which the projects of a caller lie. Throws `PATH_INVALID`. */
export async function rootFolder(path: string): Promise<string> {
  const real = await realpath(path).catch(() => undefined);
  if (real !== undefined && (await stat(real)).isDirectory()) {
    return real;
  }
  throw new CasemateError(
    'PATH_INVALID',
    `the root ${visible(path)} ${real === undefined ? 'cannot be found' : 'is not a folder'}`,
    { hint: 'Name a folder that is there: the caller gets nothing outside it.' },
  );
}
