import type { Mutant } from './mutant.ts';

/** Paths that a sandbox controls, followed on the host (G8). */
export const followedMutants: readonly Mutant[] = [
  {
    name: 'placeholders-through-links',
    weakens: 'placeholders are taken out of whatever now stands at the path of the workspace',
    file: 'src/engines/workspace/placeholders.ts',
    find: 'await inPlainFolder(join(workspace, folder), (at) =>',
    replace:
      'await (async (_: typeof inPlainFolder, remove: (at: string) => Promise<unknown>) => remove(join(workspace, folder)))(inPlainFolder, (at) =>',
    caughtBy: ['followed.swapped-workspace'],
  },
  {
    name: 'workspace-through-links',
    weakens: 'a workspace is mounted through links that were put in its way since it was checked',
    file: 'src/engines/oci/stage/calls.pl',
    find: 'O_PATH | O_CLOEXEC | O_NOFOLLOW, 0, RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS |',
    replace: 'O_PATH | O_CLOEXEC, 0,',
    caughtBy: ['followed.swapped-workspace'],
  },
  {
    name: 'policy-through-links',
    weakens: 'a policy of the project is read through a link',
    file: 'src/sandbox/policy-files/load-policy.ts',
    find: 'open(path, constants.O_RDONLY | constants.O_NONBLOCK | link)',
    replace: 'open(path, constants.O_RDONLY | constants.O_NONBLOCK | (link & 0))',
    caughtBy: ['followed.read'],
  },
  {
    name: 'export-through-links',
    weakens: 'an export of the journal is written through a link, over what is there',
    file: 'src/cli/commands/journal-export.ts',
    find: 'constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW',
    replace: 'constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC',
    caughtBy: ['followed.written'],
  },
];
