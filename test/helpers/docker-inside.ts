/** A sandbox in which Docker is offered, with the client of this machine in its workspace. */
import { chown, copyFile, mkdir, readFile, realpath, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { run } from '../../src/system/process.ts';
import { makeHome, type Home, type Outcome } from './cli.ts';
import { workspaceOwner } from './docker-lab.ts';

/** The engine that the tests were given, as the program finds it. */
const engine = process.env['DOCKER_HOST'];
const env = { PATH: '/usr/local/bin:/usr/bin:/bin', ...(engine === undefined ? {} : { DOCKER_HOST: engine }) };

export interface DockerInside extends Home {
  /** a shell script in the sandbox `box`, in its workspace */
  readonly inside: (script: string, options?: { readonly timeoutMs?: number }) => Promise<Outcome>;
  /** what the host's own client says */
  readonly host: (...args: readonly string[]) => Promise<string>;
  /** names of all containers of sandboxes, volumes and images of this installation in the engine */
  readonly left: () => Promise<readonly string[]>;
}

/** `policy`: what stands below `docker:`. */
export async function dockerInside(policy: string): Promise<DockerInside> {
  const home = await makeHome();
  await mkdir(join(home.project, 'bin'));
  const client = (await run('sh', ['-c', 'command -v docker'], { env })).stdout.toString('utf8').trim();
  await copyFile(await realpath(client), join(home.project, 'bin/docker'));
  for (const path of [home.project, join(home.project, 'bin'), join(home.project, 'bin/docker')]) {
    await chown(path, workspaceOwner, workspaceOwner);
  }
  await mkdir(home.paths.config, { recursive: true, mode: 0o700 });
  const lines = [
    'version: 1',
    'engine: docker',
    'waive: [user-namespace, disk-limit]',
    'limits: {memory: 2GiB}',
    `docker: ${policy}`,
  ];
  await writeFile(join(home.paths.config, 'policy.yaml'), `${lines.join('\n')}\n`);
  const host = async (...args: readonly string[]): Promise<string> =>
    (await run('docker', args, { env })).stdout.toString('utf8').trim();
  return {
    ...home,
    host,
    inside: (script, { timeoutMs = 120_000 } = {}) =>
      home.casemate(['exec', 'box', '--', 'sh', '-c', `PATH=/workspace/bin:$PATH; cd /workspace; ${script}`], { timeoutMs }),
    async left() {
      const mark = await readFile(join(home.paths.state, 'docker/mark'), 'utf8');
      const filter = ['--filter', `label=casemate.engine=${mark}`];
      const rows = await Promise.all([
        host('ps', '-a', ...filter, '--format', '{{.Names}}'),
        host('volume', 'ls', ...filter, '--format', '{{.Name}}'),
        host('images', '-a', ...filter, '--format', '{{.ID}}'),
      ]);
      // A keeper may wait for the next sandbox.
      return rows.flatMap((row) => row.split('\n')).filter((row) => row !== '' && !row.endsWith('-keeper'));
    },
  };
}
