import type { Mutant } from './mutant.ts';

/** Repositories of git in a workspace, of which a person is told (G7). */
export const repositoryMutants: readonly Mutant[] = [
  {
    name: 'new-repositories-unsaid',
    weakens: 'repositories in disguise, without a folder of the name .git, are passed by',
    file: 'src/workspace/new-repositories.ts',
    find: "const head = 'HEAD';",
    replace: "const head = 'no-such-name';",
    caughtBy: ['repositories.told'],
  },
  {
    name: 'left-in-git-unsaid',
    weakens: 'what a sandbox leaves in the own folder of a repository is passed by',
    file: 'src/workspace/new-repositories.ts',
    find: '  if (!isFolder || name === head) {',
    replace: '  if (!isFolder || name !== head) {',
    caughtBy: ['repositories.told'],
  },
  {
    name: 'late-repositories-unsaid',
    weakens: 'nobody looks for what was made after the last command had ended',
    file: 'src/sandbox/project/found-repositories.ts',
    find: "  if (row.state === 'created' || row.state === 'stopped') {",
    replace: "  if (row.state !== 'created') {",
    caughtBy: ['repositories.told'],
  },
];
