import type { Mutant } from './mutant.ts';

/** The control socket (G21). */
export const controlMutants: readonly Mutant[] = [
  {
    name: 'control-socket-for-all',
    weakens: 'every user may open the control socket, if he comes to it',
    file: 'src/daemon/server.ts',
    find: '  await chmod(options.path, 0o600);',
    replace: '  await chmod(options.path, 0o666);',
    caughtBy: ['control.other-users'],
  },
  {
    name: 'control-folder-for-all',
    weakens: 'every user may go into the folder of the control socket',
    file: 'src/daemon/serve.ts',
    find: '  await privateFolder(paths.runtime);',
    replace: "  await (await import('node:fs/promises')).mkdir(paths.runtime, { recursive: true, mode: 0o755 });",
    caughtBy: ['control.other-users'],
  },
  {
    name: 'own-folders-as-workspace',
    weakens: 'a folder that holds the control socket, or lies in ours, is taken as a workspace',
    file: 'src/sandbox/project/workspace-path.ts',
    find: '  return own === undefined ? undefined : `it holds',
    replace: '  return own === undefined || own !== undefined ? undefined : `it holds',
    caughtBy: ['control.from-inside'],
  },
  {
    name: 'control-line-without-end',
    weakens: 'what is sent to the control socket is collected without a bound',
    file: 'src/daemon/lines.ts',
    find: 'lineSplitter(maxLineBytes)',
    replace: 'lineSplitter(maxLineBytes * 1024)',
    caughtBy: ['control.garbage'],
  },
];
