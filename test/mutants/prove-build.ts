import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { run } from '../../src/system/process.ts';
import { processEnvironment } from '../../src/system/environment.ts';
import { pathsFrom } from '../../src/system/paths.ts';
import { shellWords } from '../../src/proof/foreign/command-template.ts';
import type { Proof } from '../../src/proof/prove.ts';
import type { Mutant } from './mutant.ts';

/** Runs `prove` of a build in a home of its own, with the images of this machine. */
export interface ProveBuild {
  /** the program, as `buildMutant` gave it */
  readonly entry: string;
  /** ids of probes; empty: all */
  readonly probes: readonly string[];
  /** further options, e.g. `--runtime runsc` */
  readonly options?: readonly string[] | undefined;
  /** `command`: as a sandbox of somebody else's */
  readonly through?: Mutant['through'];
}

/** The proof, or why there is none. */
export type Proved = { readonly proof: Proof; readonly ms: number } | { readonly fault: string; readonly ms: number };

export async function proveBuild({ entry, probes, options = [], through }: ProveBuild): Promise<Proved> {
  const folder = await mkdtemp(join(tmpdir(), 'casemate-mutant-'));
  const env = {
    PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    LANG: 'C.UTF-8',
    HOME: join(folder, 'user'),
    CASEMATE_HOME: join(folder, 'casemate'),
    CASEMATE_IMAGES: pathsFrom(processEnvironment, process.geteuid?.() ?? 0).images,
    ...Object.fromEntries(
      ['DOCKER_HOST', 'CONTAINER_HOST'].flatMap((name) => {
        const host = processEnvironment.get(name);
        return host === undefined ? [] : [[name, host]];
      }),
    ),
  };
  const project = join(folder, 'project');
  await Promise.all([mkdir(project), mkdir(env.HOME), mkdir(env.CASEMATE_HOME, { mode: 0o700 })]);
  const call = (args: readonly string[]) =>
    run(process.execPath, [entry, ...args], { env, cwd: project, timeoutMs: 20 * 60_000 });
  const started = performance.now();
  const ms = (): number => Math.round(performance.now() - started);
  try {
    const only = probes.length === 0 ? [] : ['--only', probes.join(',')];
    const { stdout, stderr } = await call([
      'prove',
      '--json',
      ...only,
      ...(through === undefined ? options : ['--command', ownCommand(entry, options)]),
    ]);
    return { ...readProof(stdout.toString('utf8'), stderr.toString('utf8')), ms: ms() };
  } catch (error) {
    return { fault: error instanceof Error ? error.message : String(error), ms: ms() };
  } finally {
    await call(['daemon', 'stop', '--force']).catch(() => undefined);
    await rm(folder, { recursive: true, force: true });
  }
}

/** The program itself, as a command that makes a sandbox. */
function ownCommand(entry: string, options: readonly string[]): string {
  return `${shellWords([process.execPath, entry, 'run', ...options])} -- {}`;
}

function readProof(out: string, err: string): { readonly proof: Proof } | { readonly fault: string } {
  try {
    const value: unknown = JSON.parse(out);
    if (typeof value === 'object' && value !== null && 'findings' in value) {
      return { proof: value as Proof };
    }
  } catch {
    // told below
  }
  return { fault: `${out}\n${err}`.trim().slice(0, 600) };
}
