import { realpath, stat } from 'node:fs/promises';

import { CasemateError } from '../base/errors.ts';
import { visible } from '../base/text.ts';
import { isWithin } from '../policy/layers/resolve-scalars.ts';

/**
 * The real path of a policy file for one caller. Throws `PATH_INVALID` if there is none, and `NOT_ALLOWED` if it is in a root of
 * that caller: what its sandboxes can write must not decide what they may do.
 */
export async function policyOfCaller(path: string, roots: readonly string[]): Promise<string> {
  const real = await realpath(path).catch(() => undefined);
  if (real === undefined || !(await stat(real)).isFile()) {
    throw new CasemateError('PATH_INVALID', `the policy ${visible(path)} is not a file`);
  }
  const root = roots.find((one) => isWithin(real, one));
  if (root !== undefined) {
    throw new CasemateError(
      'NOT_ALLOWED',
      `the policy ${visible(real)} lies in ${visible(root)}, where the caller itself works`,
      {
        hint: 'Keep it where no sandbox of that caller can write, for example beside your own policy.',
      },
    );
  }
  return real;
}
