import type { Mutant } from './mutant.ts';

const caughtBy = ['executed.nothing'];

/** What a sandbox wrote, run on the host (G6). */
export const executedMutants: readonly Mutant[] = [
  {
    name: 'path-leads-to-the-project',
    weakens: 'programs are looked for wherever PATH leads, relative to where a command was started',
    file: 'src/system/environment.ts',
    find: '    isAbsolute(folder) && normalize(folder) === folder &&',
    replace: '    (isAbsolute(folder) || folder.length >= 0) || normalize(folder) === folder &&',
    also: [
      {
        file: 'src/system/environment.ts',
        find: '  if (path === undefined || isWithin(home, folder)) {',
        replace: '  if (path === undefined || path.length > 0 || isWithin(home, folder)) {',
      },
    ],
    caughtBy,
  },
  {
    name: 'git-asked-about-the-project',
    weakens: 'git is run in the workspace, with the settings that lie there',
    file: 'src/workspace/new-repositories.ts',
    find: "  const found = await run('find',",
    replace:
      "  await run('git', ['-C', workspace, 'status'], options).catch(() => undefined);\n  const found = await run('find',",
    caughtBy,
  },
];
