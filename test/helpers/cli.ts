import { mkdtemp, mkdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';

import { run, type RunResult } from '../../src/system/process.ts';
import { environmentOf } from '../../src/system/environment.ts';
import { pathsFrom, type Paths } from '../../src/system/paths.ts';
import { launcherOf } from './launcher.ts';

/** The real command line in a home of its own, with the images of this machine. */
export interface Home {
  readonly root: string;
  readonly paths: Paths;
  /** an empty folder to work in */
  readonly project: string;
  readonly env: Record<string, string>;
  /** what starts it, before its own arguments */
  readonly program: readonly [string, ...string[]];
  readonly casemate: (args: readonly string[], options?: CallOptions) => Promise<Outcome>;
  readonly remove: () => Promise<void>;
}

export interface CallOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string | Uint8Array;
  readonly timeoutMs?: number;
}

export interface Outcome {
  readonly code: number;
  readonly out: string;
  readonly err: string;
  readonly raw: RunResult;
}

/** what was built, where `npm test` says so, else the sources: one of both in a test, or caller and daemon differ */
export const entry = process.env['CASEMATE_TEST_ENTRY'] ?? resolve(import.meta.dirname, '../../src/cli/main.ts');

/** The program itself, and what a user has on the PATH: plain cases of `exec` and `run` do without Node there. */
export const ways = ['node', 'launcher'] as const;
export type Way = (typeof ways)[number];

/** `more`: variables of every call. */
export async function makeHome(way: Way = 'node', more: Readonly<Record<string, string>> = {}): Promise<Home> {
  const root = await mkdtemp(join(tmpdir(), 'casemate-home-'));
  const project = join(root, 'project');
  await mkdir(project);
  const images = pathsFrom(environmentOf(process.env), process.geteuid?.() ?? 0).images;
  const env = {
    // The launcher finds the Node of the tests there where its checkout has none.
    PATH: `${way === 'launcher' ? `${dirname(process.execPath)}:` : ''}/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin`,
    HOME: join(root, 'user'),
    LANG: 'C.UTF-8',
    CASEMATE_HOME: join(root, 'casemate'),
    CASEMATE_IMAGES: images,
    // The engines that `npm test` has started.
    ...Object.fromEntries(Object.entries(process.env).filter(([name]) => name === 'DOCKER_HOST' || name === 'CONTAINER_HOST')),
    ...more,
  };
  await mkdir(env.HOME);
  await mkdir(env.CASEMATE_HOME, { mode: 0o700 });
  const program: Home['program'] = way === 'node' ? [process.execPath, entry] : [await launcherOf(entry, root)];
  const [file, ...before] = program;
  const casemate = async (args: readonly string[], options: CallOptions = {}): Promise<Outcome> => {
    const raw = await run(file, [...before, ...args], {
      cwd: options.cwd ?? project,
      env: { ...env, ...options.env },
      input: options.input,
      timeoutMs: options.timeoutMs ?? 60_000,
    });
    return { code: raw.exitCode, out: raw.stdout.toString('utf8'), err: raw.stderr.toString('utf8'), raw };
  };
  return {
    root,
    project,
    env,
    program,
    paths: pathsFrom(environmentOf(env), process.geteuid?.() ?? 0),
    casemate,
    async remove() {
      await casemate(['daemon', 'stop', '--force']);
      await rm(root, { recursive: true, force: true });
    },
  };
}

/** What a test of the whole way lacks on this machine, for `engineOrSkip`; `undefined` when nothing. */
export async function wholeWayLacks(recipes: readonly string[] = ['base']): Promise<string | undefined> {
  const home = await makeHome();
  try {
    const doctor = await home.casemate(['doctor', '--layers', '--json']);
    const checks: readonly { check: string; verdict: string; detail: string }[] = JSON.parse(doctor.out || '[]');
    const missing = checks.find((row) => row.verdict === 'missing');
    const images: readonly { recipe: string }[] = JSON.parse((await home.casemate(['image', 'ls', '--json'])).out || '[]');
    const image = recipes.find((recipe) => !images.some((row) => row.recipe === recipe));
    return missing !== undefined
      ? `${missing.check}: ${missing.detail}`
      : image && `image ${image} is not built (casemate setup --image ${image})`;
  } finally {
    await home.remove();
  }
}

interface Inspected {
  readonly seen: readonly { readonly rows: readonly { readonly what: string; readonly seen: string; readonly ok?: boolean }[] }[];
}

/** Of `casemate inspect --json`: what this host sees of the sandbox and is not as planned. */
export function oddRows({ seen }: Inspected): readonly string[] {
  return seen.flatMap(({ rows }) => rows.filter(({ ok }) => ok !== true).map((row) => `${row.what}: ${row.seen}`));
}
