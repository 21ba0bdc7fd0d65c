import type { FileHandle } from 'node:fs/promises';

import { CasemateError } from '../base/errors.ts';
import { visible } from '../base/text.ts';
import { isErrno } from '../system/files.ts';
import { madeFolderIn } from '../system/made-folder.ts';
import { openPlainFolder } from '../system/plain-folder.ts';

/**
 * Creates the missing folders of a layout in a workspace, for its owner. A sandbox may have run there or may be running: each
 * name is looked up in the folder that is held open, and a link in its place is refused, not followed.
 */
export async function makeLayout(workspace: string, names: readonly string[]): Promise<void> {
  if (names.length === 0) {
    return;
  }
  const held = await openPlainFolder(workspace);
  try {
    for (const name of names) {
      // oxlint-disable-next-line no-await-in-loop -- six at most
      await makeFolder(held, name, workspace);
    }
  } finally {
    await held.close();
  }
}

async function makeFolder(held: FileHandle, name: string, workspace: string): Promise<void> {
  const folder = await madeFolderIn(held, name).catch((cause: unknown) => {
    if (!['ENOTDIR', 'ELOOP', 'ENOENT'].some((code) => isErrno(cause, code))) {
      throw cause;
    }
    throw new CasemateError(
      'PATH_INVALID',
      `${visible(workspace)}/${name} is no folder, and the layout of the workspace has it as one`,
      {
        cause,
        hint: 'Move it away, or leave it out of workspace.layout.',
      },
    );
  });
  await folder.close();
}
