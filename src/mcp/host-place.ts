import { basename, dirname, isAbsolute, normalize } from 'node:path';

import { CasemateError } from '../base/errors.ts';
import { visible } from '../base/text.ts';
import { protectedNameIn } from '../sandbox/project/protected-paths.ts';
import { placeRefusal, type WorkspaceBounds } from '../sandbox/project/workspace-path.ts';
import type { HostPlace } from '../workspace/transfer/host-source.ts';

/** Where on the host a caller may read and write files: below its roots, and never where keys or our own state are. */
export interface HostBounds extends WorkspaceBounds {
  /** real and absolute */
  readonly roots: readonly string[];
}

/** Throws `NOT_ALLOWED` for what lies in no root, `PATH_INVALID` for what is no plain path or must not be used. */
export function hostPlace(path: string, bounds: HostBounds): HostPlace {
  const plain = path.replace(/(?<=.)\/+$/, '');
  if (!isAbsolute(plain) || normalize(plain) !== plain) {
    throw new CasemateError('PATH_INVALID', `${visible(path)} is not a plain absolute path`, {
      hint: 'Write it from / on, without "." and "..".',
    });
  }
  const root = bounds.roots.find((one) => plain === one || plain.startsWith(one === '/' ? '/' : `${one}/`));
  if (root === undefined) {
    throw new CasemateError('NOT_ALLOWED', `${visible(path)} lies in none of the roots of this caller`, {
      hint: `Roots: ${bounds.roots.map(visible).join(', ')}. The person at the host declares them.`,
    });
  }
  const reason = placeRefusal(plain, bounds);
  if (reason !== undefined) {
    throw new CasemateError('PATH_INVALID', `${visible(path)} is refused: ${reason}`);
  }
  return plain === root
    ? { root: dirname(root), parts: [basename(root)] }
    : { root, parts: plain.slice(root === '/' ? 1 : root.length + 1).split('/') };
}

/** Throws for what programs of the host act on by themselves: a transfer is no way around the workspace's protection. */
export function refuseTarget(path: string, { programFolders }: HostBounds): void {
  const name = protectedNameIn(path);
  if (name !== undefined) {
    throw new CasemateError('NOT_ALLOWED', `${visible(path)}: programs of the host act on ${name} by themselves`, {
      hint: 'A person can put it there.',
    });
  }
  const folder = programFolders.find((one) => path.startsWith(`${one}/`));
  if (folder !== undefined) {
    throw new CasemateError('NOT_ALLOWED', `${visible(path)}: programs of this host are looked for in ${visible(folder)}`);
  }
}
