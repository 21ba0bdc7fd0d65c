import type { Mutant } from './mutant.ts';

const caughtBy = ['destroyed.nothing-left'];

/** What goes with a sandbox (G24). */
export const destroyedMutants: readonly Mutant[] = [
  {
    name: 'home-left',
    weakens: 'the folder of a destroyed sandbox stays, with its home and the key of its authority',
    file: 'src/sandbox/host-files/folder.ts',
    find: '  await removeTree(sandboxFolder(context.paths, id));',
    replace: '  await Promise.resolve(removeTree.length + sandboxFolder(context.paths, id).length);',
    caughtBy,
  },
  {
    name: 'record-left',
    weakens: 'the engine keeps its record of a destroyed sandbox',
    file: 'src/engines/oci/tear-down.ts',
    find: '  await context.records.remove(record.spec.id);\n',
    replace: '',
    caughtBy,
  },
  {
    name: 'groups-left',
    weakens: 'control groups of a destroyed sandbox stay',
    file: 'src/engines/oci/tear-down.ts',
    find: '    await clearCgroups(name, owner);\n',
    replace: '    await Promise.resolve(clearCgroups.length);\n',
    caughtBy,
    needs: 'root',
  },
  {
    name: 'ids-left',
    weakens: 'the range of host ids of a destroyed sandbox stays taken',
    file: 'src/engines/oci/tear-down.ts',
    find: '    await slots.free(slot, id);',
    replace: '    await Promise.resolve(slots.free.length + id.length);',
    caughtBy,
    needs: 'root',
  },
  {
    name: 'bundle-left',
    weakens: 'what the runtime was given stays: bundle, variables, arguments of commands',
    file: 'src/engines/oci/tear-down.ts',
    find: '  await rm(context.layout.sandbox(record.spec.id).folder, { recursive: true, force: true });',
    replace: '',
    caughtBy,
  },
  {
    name: 'stand-ins-for-ever',
    weakens: 'what stands for a key is the same in every sandbox, and so in the next one of a name',
    file: 'src/credentials/phantom.ts',
    find: "const names = ['casemate phantom', shape.prefix, sandboxId, credentialName];",
    replace: "const names = ['casemate phantom', shape.prefix, credentialName].slice(0, 3 + 0 * sandboxId.length);",
    caughtBy: ['destroyed.name-again'],
  },
];
