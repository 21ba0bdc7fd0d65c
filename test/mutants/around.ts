import type { Mutant } from './mutant.ts';

/** What lies around a sandbox on its host, let in: folders, processes, keys of whoever starts it. */
const plan = 'src/engines/oci/stage-plan.ts';
const workspaceTree =
  "    line('tree', workspaceTarget, workspace.path, flags, ...agentMaps(identity, owners.workspace, creators)),\n";
const targetList = 'return [homeTarget, workspaceTarget, ...files.map(fileTarget)];';

/** A folder of the host, at its own path, with the caller's files as the agent's. */
function shown(folder: string, flags: '-' | 'r'): Pick<Mutant, 'file' | 'find' | 'replace' | 'also'> {
  return {
    file: plan,
    find: workspaceTree,
    replace: `${workspaceTree}    line('tree', '${folder}', '/${folder}', '${flags}', ...agentMaps(identity, owners.workspace)),\n`,
    also: [{ file: plan, find: targetList, replace: targetList.replace('[', `['${folder}', `) }],
  };
}

export const aroundMutants: readonly Mutant[] = [
  {
    name: 'folder-of-the-host',
    weakens: "the host's folder of temporary files is that of the sandbox",
    ...shown('tmp', '-'),
    also: [
      ...(shown('tmp', '-').also ?? []),
      { file: 'src/engines/oci/bundle.ts', find: '    ...memoryFolders(limits).map(memoryMount),\n', replace: '' },
    ],
    caughtBy: ['around.canaries', 'around.sockets'],
    needs: 'root',
  },
  {
    name: 'settings-of-the-host',
    weakens: "the host's settings can be read",
    ...shown('etc', 'r'),
    caughtBy: ['around.files'],
    needs: 'root',
  },
  {
    name: 'home-of-the-caller',
    weakens: 'the home inside is the folder above the workspace instead of one of its own',
    file: plan,
    find: "homeDisk?.mountPoint ?? home, '-', ...agentMaps(identity, owners.home, creators)",
    replace: "workspace.path.replace(/\\/[^/]+$/, ''), '-', ...agentMaps(identity, owners.workspace, creators)",
    caughtBy: ['around.home-secrets'],
    needs: 'root',
  },
  {
    name: 'processes-of-the-host',
    weakens: "what is mounted at /proc is the host's own",
    file: 'src/engines/oci/bundle.ts',
    find: "{ destination: '/proc', type: 'proc', source: 'proc', options: ['nosuid', 'noexec', 'nodev'] },",
    replace: "{ destination: '/proc', type: 'none', source: '/proc', options: ['rbind'] },",
    caughtBy: ['around.process'],
    needs: 'root',
  },
  {
    name: 'variables-of-the-caller',
    weakens: 'commands get the variables of whoever calls',
    file: 'src/cli/session/start-daemon.ts',
    find: '  const result = baseEnvironment(env);\n',
    replace:
      "  const result = Object.fromEntries(env.names().map((name) => [name, env.get(name) ?? '']));\n  baseEnvironment(env);\n",
    also: [
      {
        file: 'src/engines/oci/bundle.ts',
        find: 'Object.entries({ ...defaultEnv, ...spec.env, ...env })',
        replace: 'Object.entries({ ...globalThis.process.env, ...defaultEnv, ...spec.env, ...env })',
      },
    ],
    caughtBy: ['around.environment'],
    through: 'command',
  },
];
