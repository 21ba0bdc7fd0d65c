/** Docker Compose as this machine has it, to be run inside a sandbox: version 2, which is one program, and version 1, which is Python. */
import { cp, copyFile, open, readdir } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { join } from 'node:path';

import { processEnvironment } from '../../src/system/environment.ts';

export interface ComposeClient {
  readonly name: string;
  /** Puts it into the workspace. */
  readonly place: (project: string) => Promise<void>;
  /** words of a shell inside */
  readonly command: string;
}

const programs = [
  processEnvironment.get('CASEMATE_TEST_COMPOSE') ?? '',
  '/usr/libexec/docker/cli-plugins/docker-compose',
  '/usr/lib/docker/cli-plugins/docker-compose',
  '/usr/bin/docker-compose',
];
const packages = '/usr/lib/python3/dist-packages';

export async function composeClients(): Promise<readonly ComposeClient[]> {
  const found = await Promise.all(programs.map(async (path) => ((await isProgram(path)) ? [path] : [])));
  const [second] = found.flat();
  return [...(second === undefined ? [] : [asProgram(second)]), ...(existsSync(join(packages, 'compose')) ? [asPython] : [])];
}

/** A file of machine code, and no script that needs something beside it. */
async function isProgram(path: string): Promise<boolean> {
  if (path === '' || !existsSync(path)) {
    return false;
  }
  const file = await open(path);
  try {
    const { buffer } = await file.read(Buffer.alloc(4), 0, 4, 0);
    return buffer.equals(Buffer.from('\u007FELF', 'latin1'));
  } finally {
    await file.close();
  }
}

function asProgram(path: string): ComposeClient {
  return {
    name: 'Compose 2',
    place: (project) => copyFile(path, join(project, 'bin/docker-compose')),
    command: 'docker-compose',
  };
}

/** With all that Debian has for Python: what it imports is there, and the sandbox has the interpreter. */
const asPython: ComposeClient = {
  name: 'Compose 1',
  async place(project) {
    await cp(packages, join(project, 'python'), { recursive: true, verbatimSymlinks: true });
    const versions = (await readdir('/usr/lib')).filter((name) => /^python3\.\d+$/.test(name));
    const tools = versions.map((name) => join('/usr/lib', name, 'distutils')).find((path) => existsSync(join(path, 'spawn.py')));
    await (tools === undefined ? undefined : cp(tools, join(project, 'python/distutils'), { recursive: true }));
  },
  command: 'PYTHONPATH=/workspace/python python3 -m compose',
};
