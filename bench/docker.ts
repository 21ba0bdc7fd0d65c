/** A sandbox under Docker against Docker's own client with the same flags: what the keeper and what is read back cost. */
import { chown, mkdir } from 'node:fs/promises';
import { join } from 'node:path';

import { engineChoices } from '../scripts/engines/verdicts.ts';
import { compare } from './compare.ts';
import { attempt, hostEnv, whyNot, type Contender } from './measure.ts';
import { blocked, type BenchResult } from './result.ts';
import { launcher, type Site } from './site.ts';

const owner = 1000;

/** `image`: of the same root file system, by its name in Docker. */
export async function benchDocker(site: Site, image: string): Promise<readonly BenchResult[]> {
  const project = join(site.folder, 'docker-project');
  await mkdir(project);
  if (process.geteuid?.() === 0) {
    // Without mapped ids nothing runs on a folder of root's.
    await chown(project, owner, owner);
  }
  const flags = sameFlags(project, image);
  const theirs: Contender = { name: 'docker/docker run --rm true', file: 'docker', args: ['run', '--rm', ...flags, 'true'] };
  const reason = await whyNot(theirs);
  if (reason !== undefined) {
    return [blocked('docker/casemate run --engine docker -- true', 'ms', reason)];
  }
  const ours = (name: string, args: readonly string[]): Contender => ({
    name,
    file: launcher,
    args,
    env: site.env,
    cwd: project,
  });
  const run = ours('docker/casemate run --engine docker -- true', ['run', ...engineChoices.docker, '--', 'true']);
  const runs = await compare(run, [theirs], { [theirs.name]: '< 1.25' });
  return [...runs, ...(await benchExec(site, { project, flags, ours }))];
}

interface ExecSite {
  readonly project: string;
  readonly flags: readonly string[];
  readonly ours: (name: string, args: readonly string[]) => Contender;
}

async function benchExec(site: Site, { project, flags, ours }: ExecSite): Promise<readonly BenchResult[]> {
  const [name, container] = ['bench-docker', `casemate-bench-${process.pid}`];
  const call = async (args: readonly string[]): Promise<unknown> =>
    await attempt(launcher, args, { env: site.env, cwd: project });
  await call(['create', name, ...engineChoices.docker]);
  await call(['start', name]);
  await attempt('docker', ['run', '--detach', '--name', container, ...flags, 'sleep', 'infinity'], { env: hostEnv });
  try {
    const theirs: Contender = { name: 'docker/docker exec true', file: 'docker', args: ['exec', container, 'true'] };
    return await compare(ours('docker/casemate exec true', ['exec', name, '--', 'true']), [theirs], { [theirs.name]: '< 1.2' });
  } finally {
    await call(['destroy', name, '--confirm', name]);
    await attempt('docker', ['rm', '--force', container], { env: hostEnv });
  }
}

function sameFlags(project: string, image: string): readonly string[] {
  const user =
    process.geteuid?.() === 0 ? `${owner}:${owner}` : `${process.geteuid?.() ?? owner}:${process.getegid?.() ?? owner}`;
  return [
    ['--network', 'none', '--user', user, '--cap-drop', 'ALL', '--security-opt', 'no-new-privileges', '--read-only'],
    ['--tmpfs', '/tmp', '--tmpfs', '/run', '--memory', '2g', '--cpus', '1', '--pids-limit', '512', '--log-driver', 'none'],
    ['--volume', `${project}:/workspace`, '--workdir', '/workspace', image],
  ].flat();
}
